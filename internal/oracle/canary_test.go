package oracle

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
	"github.com/zeebo/xxh3"

	"github.com/profilerhq/profiler/internal/alert/slack/slacktest"
	"github.com/profilerhq/profiler/internal/api"
	"github.com/profilerhq/profiler/internal/app"
	"github.com/profilerhq/profiler/internal/cli"
	"github.com/profilerhq/profiler/internal/db"
	"github.com/profilerhq/profiler/internal/dbtest"
	"github.com/profilerhq/profiler/internal/metrics"
)

// A canary is a value that occurs in sensitive columns alone. None may be found
// in anything that the product writes.
const (
	canaryText  = "CANARY"
	canaryInt   = 73_165_291_840 // and those after it
	canaryFloat = 918_273.645519
	canaryDay   = "1987-06-"
)

// canaryForms are, long enough not to occur by chance, how canaries would be written: as text, in the forms that
// reports have for numbers, and as the bytes of numbers and of hashes without a
// key.
func canaryForms() [][]byte {
	forms := [][]byte{}
	for _, s := range []string{
		canaryText, strings.ToLower(canaryText), base64.StdEncoding.EncodeToString([]byte(canaryText)), fmt.Sprintf("%x", canaryText),
		"73165291", "73,165,291", "73.16529", "7.316529", "7.3165", "73.2 G",
		"918273.", "918,273", "918,274", "9.18273", "9.18274", canaryDay,
	} {
		forms = append(forms, []byte(s))
	}
	number := func(bits uint64) {
		forms = append(forms, binary.LittleEndian.AppendUint64(nil, bits), binary.BigEndian.AppendUint64(nil, bits))
	}
	day, _ := time.Parse(time.DateOnly, canaryDay+"05")
	for i := range canaryRows {
		number(uint64(canaryInt + i)) //nolint:gosec // positive
		number(math.Float64bits(float64(canaryInt + i)))
		number(math.Float64bits(canaryFloat + float64(i)))
		forms = append(forms, binary.AppendVarint(nil, int64(canaryInt+i)))
		forms = append(forms, strconv.AppendInt(nil, day.AddDate(0, 0, i).Unix(), 10))
		number(xxh3.HashString(fmt.Sprintf("%s-%d@example.com", canaryText, i)))
	}
	number(uint64(day.UnixMicro())) //nolint:gosec // positive
	number(math.Float64bits(float64(day.UnixMicro())))
	return forms
}

const canaryRows = 12

// canaryTable is the data: four days of it, in which nearly every check fails.
func canaryTable(day int) *typed {
	t := &typed{
		names: []string{"id", "country", "email", "card", "balance", "born", "seen", "note"},
		types: []string{tInteger, tString, tString, tInteger, tNumber, tDate, tTimestamp, tString},
	}
	for i := range canaryRows {
		at, _ := time.Parse(time.DateOnly, fmt.Sprintf("%s%02d", canaryDay, 5+i))
		row := []Value{
			{Type: tInteger, Int: int64(i + 1)},
			{Type: tString, Text: []string{"DE", "AT", "NL"}[i%3]},
			{Type: tString, Text: fmt.Sprintf("%s-%d@example.com", canaryText, (i+day)%9)},
			{Type: tInteger, Int: int64(canaryInt + (i*day)%7)},
			{Type: tNumber, Float: canaryFloat + float64(i%5*day)},
			{Type: tDate, At: at},
			{Type: tTimestamp, At: at.Add(time.Hour), Zoned: true},
			{Type: tString, Text: canaryText + " note \xc3\xa9"},
		}
		if i == 4 {
			row[2] = null
		}
		t.rows = append(t.rows, row)
	}
	return t
}

const canaryRules = `version: 1
dataset: "*"
key: [id, email, card]
sensitive: [email, card, balance, born, seen, "no*", user, secrets, mixed]
checks:
  - unique: [email, card]
  - duplicate_rows: 0
  - row: email == "CANARY-1@example.com" && card > 73165291840
  - row: id > card
  - freshness: {column: seen, max_age: 1h}
  - freshness: {column: born, max_age: 1h}
columns:
  country:
    - not_in: [DE]
      by: email
    - not_in: [DE]
      where: email contains "CANARY"
    - distinct: {max: 1}
      by: card
  id:
    - mean: {max: 1}
      where: card > 73165291841
    - correlation: {with: card, min: 2}
  email:
    - unique
    - not_null
    - format: uuid
    - in: [CANARY-1@example.com, CANARY-2@example.com, x]
    - not_in: [CANARY-3@example.com]
    - not_in: [CANARY-3@example.com, CANARY-4@example.com]
    - matches: "^zz"
    - not_matches: "@"
    - length: {max: 3}
    - type: integer
    - increasing
    - most_common: {one_of: [CANARY-77@example.com]}
    - values: {equals: [CANARY-77@example.com, CANARY-1@example.com]}
    - min: {above: "zzz"}
    - max: {equals: "CANARY-0@example.com"}
    - min_length: {max: 1}
    - entropy: {max: 0.1}
    - distinct: {max: 1}
    - top_share: {max: 1%}
    - references: {source: known.csv, column: email}
    - json_schema: s.json
    - drift: {warn: 0.01, fail: 0.02}
    - values: {subset_of: [CANARY-1@example.com]}
      by: country
  card:
    - range: {max: 5}
    - mean: {max: 5}
    - mean: {max: 5}
      by: email
    - median: {max: 5}
    - sum: {max: 5}
    - stddev: {max: 0.0001}
    - min: {max: 5}
    - max: {max: 5}
    - max: {max: 5}
      where: country == "DE"
    - max: {max: 5}
      by: country
    - quantile: {q: 0.9, max: 5}
    - multiple_of: 1000
    - zero_rate: {min: 50%}
    - in: [1, 2, 73165291840]
    - most_common: 3
    - most_common: 3
      by: country
    - decreasing: {strictly: true}
    - unique
    - luhn_check: x
    - drift: {}
    - change: {of: distinct, against: previous, max: 0}
  balance:
    - range: {max: 5}
    - decimals: {max: 1}
    - mean: {max: 5}
    - finite
    - skewness: {max: -9}
    - drift: {}
  born:
    - range: {min: 2020-01-01}
    - min: {min: 2020-01-01}
    - median: {min: 2020-01-01}
    - drift: {method: tv}
  seen:
    - max: {min: 2020-01-01T00:00:00Z}
  "user.*": [{length: {max: 1}}]
  "secrets": [{length: {max: 0}}]
  mixed: [{range: {max: 1}}, {type: integer}]
`

// canary is a working folder with everything that the product wrote there.
type canary struct {
	t     *testing.T
	dir   string
	slack *slacktest.Server
	heard bytes.Buffer // what the commands printed
}

func newCanary(t *testing.T) *canary {
	t.Helper()
	c := &canary{t: t, dir: t.TempDir(), slack: slacktest.Start()}
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "PROFILER_") && name != "PROFILER_TEST_POSTGRES" {
			t.Setenv(name, "")
		}
	}
	t.Chdir(c.dir)
	t.Cleanup(c.slack.Close)
	c.write("in/rules/all.yaml", strings.Replace(canaryRules, "    - luhn_check: x\n", "", 1))
	c.write("in/rules/known.csv", "email\nCANARY-99@example.com\n")
	c.write("in/rules/s.json", `{"type":"object"}`)
	c.write("in/quiet.yaml", "rules: [in/rules/]\n")
	c.write("profiler.yaml", fmt.Sprintf("rules: [in/rules/]\nalerts:\n  channels:\n    data: {slack: {token: %q, channel: %q, api_url: %q}}\n",
		slacktest.Token, slacktest.Channel, c.slack.URL))
	for day := 1; day <= 4; day++ {
		table := canaryTable(day)
		c.write(fmt.Sprintf("in/day%d.csv", day), writeCSV(table))
		c.write(fmt.Sprintf("in/day%d.jsonl", day), writeJSON(table))
		c.write(fmt.Sprintf("in/day%d.parquet", day), writeParquet(t, table, parquetForm{dictionary: day%2 == 0, rowGroup: 100, page: 1 << 16}))
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err := z.Write([]byte(writeCSV(canaryTable(1))))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	c.write("in/packed.csv.gz", packed.String())
	c.write("in/nested.jsonl", `{"id":1,"country":"DE","user":{"name":"CANARY n","ids":[73165291840],"more":{"card":73165291841}},"secrets":["CANARY a","CANARY b"],"mixed":1}
{"id":2,"user":{"name":"CANARY m"},"secrets":[],"mixed":"CANARY","email":"CANARY-1@example.com"}
{"id":2,"user":"CANARY bare","mixed":2}
`)
	c.write("in/ragged.csv", "id,email,card\n1,CANARY-1@example.com,73165291840\n2,CANARY-2@example.com\n3,CANARY-3@example.com,73165291841,CANARY\n4,\"CANARY unclosed,5\n")
	c.write("in/broken.jsonl", "{\"id\":1,\"email\":\"CANARY-1@example.com\"}\n{\"id\":2,\"email\":\"CANARY\\x\"}\n{\"id\":3,\"email\":CANARY}\n\"CANARY\"\nCANARY\n{\"email\":\"CANARY\n")
	c.write("in/invalid.csv", "id,email,country\n1,CANARY\xff\xfe,DE\n")
	c.write("in/array.json", "[{\"id\":1,\"email\":\"CANARY-1@example.com\"} CANARY]")
	c.write("in/text.jsonl", "CANARY-1@example.com\n")
	c.write("in/pipe.yaml", `version: 1
pipeline: orders
source: {files: "day*.csv"}
steps:
  copy: {run: [sh, "-c", cat], dataset: copied}
`)
	return c
}

func (c *canary) write(name, text string) {
	c.t.Helper()
	path := filepath.Join(c.dir, name)
	require.NoError(c.t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(c.t, os.WriteFile(path, []byte(text), 0o600))
}

// run runs a command and keeps what it printed.
func (c *canary) run(stdin, args string) int {
	c.t.Helper()
	var out, errs bytes.Buffer
	code := cli.Run(c.t.Context(), strings.Fields(args), "test", strings.NewReader(stdin), &out, &errs)
	fmt.Fprintf(&c.heard, "$ profiler %s\n", args)
	for _, b := range [][]byte{out.Bytes(), errs.Bytes()} {
		c.heard.Write(b)
		c.search("$ profiler "+args, b)
	}
	return code
}

var profileInJSON = regexp.MustCompile(`"sketch": ?"([^"]+)"`)

// clockTime is a reading of the clock, whose last digits are by chance those of a
// number. Times of canaries are of another century.
var clockTime = regexp.MustCompile(`20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+`)

// search looks for canaries, in profiles inside of the text too.
func (c *canary) search(where string, data []byte) {
	c.t.Helper()
	text := clockTime.ReplaceAll(data, []byte("(now)"))
	for _, form := range canaryForms() {
		if at := bytes.Index(text, form); at >= 0 {
			c.t.Errorf("%s: %q leaks: …%q…", where, form, text[max(0, at-80):min(len(text), at+80)])
			return
		}
	}
	for _, m := range profileInJSON.FindAllSubmatch(data, -1) {
		b, err := base64.StdEncoding.DecodeString(string(m[1]))
		require.NoError(c.t, err)
		c.search(where+" (sketch)", b)
	}
	if bytes.HasPrefix(data, []byte("PRFL")) {
		z, err := zstd.NewReader(nil)
		require.NoError(c.t, err)
		defer z.Close()
		body, err := z.DecodeAll(data[8:], nil)
		require.NoError(c.t, err)
		c.search(where+" (unpacked)", body)
	}
}

// searchFiles looks through all files that were written.
func (c *canary) searchFiles() {
	c.t.Helper()
	require.NoError(c.t, filepath.WalkDir(c.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		switch {
		case d.IsDir() && (d.Name() == "in" || d.Name() == "runs"): // the data itself
			return filepath.SkipDir
		case d.IsDir():
			return nil
		}
		data, err := os.ReadFile(path)
		if err == nil {
			c.search(path, data)
		}
		return err
	}))
}

// searchStore looks through every value of every table.
func (c *canary) searchStore(url string) {
	c.t.Helper()
	d, err := db.Open(c.t.Context(), url, db.Options{ReadOnly: true})
	require.NoError(c.t, err)
	defer d.Close()
	query := "SELECT name FROM sqlite_master WHERE type = 'table'"
	if strings.HasPrefix(url, "postgres") {
		query = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
	}
	var tables []string
	require.NoError(c.t, d.Select(c.t.Context(), &tables, query))
	found := map[string]int{}
	for _, table := range tables {
		rows, err := d.Query(c.t.Context(), "SELECT * FROM "+table) //nolint:gosec // a name of ours
		require.NoError(c.t, err)
		for rows.Next() {
			values, err := rows.SliceScan()
			require.NoError(c.t, err)
			for _, v := range values {
				found[table]++
				switch x := v.(type) {
				case []byte:
					c.search("table "+table, x)
				case string:
					c.search("table "+table, []byte(x))
				default:
					c.search("table "+table, fmt.Append(nil, x))
				}
			}
		}
		require.NoError(c.t, rows.Err())
		require.NoError(c.t, rows.Close())
	}
	for _, table := range []string{"profile", "result", "metric", "incident", "outbox", "secret"} {
		require.NotZero(c.t, found[table], "table %s is empty: the test shows nothing", table)
	}
}

// searchService looks at all pages of the service that link to each other, its
// API and its metrics.
func (c *canary) searchService(url string) {
	c.t.Helper()
	m, err := metrics.New(metrics.Options{Process: true})
	require.NoError(c.t, err)
	a, err := app.New(c.t.Context(), app.Options{Store: url, Metrics: m})
	require.NoError(c.t, err)
	defer a.Close()
	l, err := (&net.ListenConfig{}).Listen(c.t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(c.t, err)
	ctx, stop := context.WithCancel(c.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Serve(ctx, app.ServeOptions{ServeOptions: api.ServeOptions{Listener: l}}) }()
	defer func() {
		stop()
		require.NoError(c.t, <-ended)
	}()
	base := "http://" + l.Addr().String()
	links := regexp.MustCompile(`(?:href|src|hx-get)="(/[^"#]*)"`)
	queue, seen := []string{"/", "/metrics", "/api/v1/datasets", "/api/v1/datasets/default/day1", "/api/v1/datasets/default/day1/profiles", "/api/v1/datasets/default/day1/incidents"}, map[string]bool{}
	batches := 0
	for len(queue) > 0 && len(seen) < 400 {
		path := queue[0]
		if queue = queue[1:]; seen[path] {
			continue
		}
		seen[path] = true
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+strings.ReplaceAll(path, "&amp;", "&"), http.NoBody)
		require.NoError(c.t, err)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(c.t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(c.t, err)
		require.NoError(c.t, resp.Body.Close())
		if strings.Contains(path, "/batches/") {
			batches++
		}
		if strings.HasPrefix(path, "/assets/") {
			continue // the same for everybody
		}
		c.search("GET "+path, body)
		for _, link := range links.FindAllSubmatch(body, -1) {
			queue = append(queue, string(link[1]))
		}
	}
	require.Greater(c.t, batches, 3, "no pages of batches: %v", seen)
}

var canaryOutputs = []string{"table", "json", "markdown", "html", "junit", "github"}

// TestSensitiveValuesNeverLeave gives marked values to every command in every
// format, and looks for them in all that is written.
func TestSensitiveValuesNeverLeave(t *testing.T) { //nolint:paralleltest // it has a working folder and an environment
	if testing.Short() {
		t.Skip("runs many commands")
	}
	for name, open := range map[string]func(testing.TB) string{"sqlite": dbtest.SQLite, "postgres": dbtest.Postgres} {
		t.Run(name, func(t *testing.T) { findCanaries(t, open(t)) })
	}
}

func findCanaries(t *testing.T, url string) {
	t.Helper()
	c := newCanary(t)
	inputs := []string{"in/day1.csv", "in/day2.jsonl", "in/day3.parquet", "in/day4.parquet", "in/packed.csv.gz", "in/nested.jsonl", "in/ragged.csv", "in/broken.jsonl", "in/invalid.csv"}
	for i, in := range inputs {
		for _, o := range canaryOutputs {
			if o != "junit" && o != "github" {
				c.run("", fmt.Sprintf("profile %s -o %s --save p%d.profile --sketch=%t", in, o, i, o == "json"))
			}
			code := c.run("", fmt.Sprintf("check %s -o %s -v --failing-rows 50 --metrics-file m%d.prom --alert", in, o, i))
			require.Contains(t, []int{1, 3}, code, in)
			c.run("", fmt.Sprintf("check %s -o %s --failing-rows-file f%d.jsonl --split in/good%d in/bad%d", in, o, i, i, i))
		}
		data, err := os.ReadFile(in)
		require.NoError(t, err)
		require.Zero(t, c.run(string(data), "profile - --sensitive id,email,card,balance,born,seen,note,user,secrets,mixed,country --dataset other/name"), in)
	}
	for _, bad := range []string{"in/array.json", "in/text.jsonl", "in/missing.csv"} {
		c.run("", "profile "+bad)
		c.run("", "rules suggest in/day1.csv in/day2.jsonl in/day3.parquet --each --dataset day1")
		c.run("", "check -o json "+bad)
	}
	c.history(url)
	c.streams()
	require.Equal(t, 1, c.run("", "check in/day2.csv --baseline in/day1.csv -o json"), "the baseline is hashed as the batch is")
	require.Equal(t, 3, c.run("", "check in/day2.csv --baseline p0.profile -o json"), "drift is judged over another key")
	require.Contains(t, c.heard.String(), "is hashed with")
	require.Equal(t, 3, c.run("", "merge p0.profile p4.profile --dataset x"), "the keys of two runs differ")
	t.Setenv("PROFILER_SENSITIVE_KEY", "a secret that two runs share")
	c.run("", "profile in/day1.csv --save a.profile")
	c.run("", "profile in/day2.csv --save b.profile")
	require.Zero(t, c.run("", "merge a.profile b.profile --dataset x -o json --save c.profile"))
	c.run("", "check in/day3.csv --baseline c.profile -o json")
	for _, o := range []string{"table", "json"} {
		require.Equal(t, 1, c.run("", "run in/pipe.yaml -o "+o+" --store "+url), "a gate blocks")
	}
	c.searchFiles()
	c.searchStore(url)
	c.searchService(url)
	messages, err := json.Marshal(c.slack.Messages())
	require.NoError(t, err)
	require.Greater(t, len(messages), 1000, "Slack was told nothing")
	c.search("Slack", messages)
	c.search("Slack's requests", []byte(strings.Join(c.slack.Requests(), "\n")))
	for _, word := range []string{"***", "in/day1.csv", "drift"} {
		require.Contains(t, c.heard.String(), word)
	}
}

// history records days and shows them.
func (c *canary) history(url string) {
	c.t.Helper()
	for day := 1; day <= 4; day++ {
		c.run("", fmt.Sprintf("check in/day%d.csv --store %s --dataset default/day1 --at 2026-01-0%dT00:00:00Z --batch b%d -o json --metrics-file h.prom", day, url, day, day))
	}
	c.run("", "profile in/nested.jsonl --store "+url)
	c.run("", "check in/ragged.csv --store "+url)
	c.run("", "history list --store "+url+" -o json")
	for _, o := range []string{"table", "json"} {
		c.run("", "history show default/day1 b2 -o "+o+" --store "+url)
	}
	c.search("results of drift", c.heard.Bytes())
}

// streams sends the data through tap. What it passes on is the data.
func (c *canary) streams() {
	c.t.Helper()
	for _, flags := range []string{"", "--fail-on fail -o json", "--gate --fail-on warn", "--every 5"} {
		var out, errs bytes.Buffer
		cli.Run(c.t.Context(), strings.Fields("tap --dataset default/day1 --format csv "+flags), "test", strings.NewReader(writeCSV(canaryTable(2))), &out, &errs)
		require.NotEmpty(c.t, errs.String(), flags)
		c.search("tap "+flags, errs.Bytes())
	}
}

// TestTheCanariesAreThere shows that the search finds what is not masked.
func TestTheCanariesAreThere(t *testing.T) { //nolint:paralleltest // as above
	newCanary(t)
	require.NoError(t, os.Remove("in/rules/all.yaml"))
	for _, args := range []string{"profile in/day1.csv -o json", "profile in/day3.parquet", "profile in/nested.jsonl -o json", "profile in/day2.jsonl -o html"} {
		var out, errs bytes.Buffer
		require.Zero(t, cli.Run(t.Context(), strings.Fields(args), "test", strings.NewReader(""), &out, &errs), errs.String())
		found := 0
		for _, form := range canaryForms() {
			if bytes.Contains(out.Bytes(), form) {
				found++
			}
		}
		require.NotZero(t, found, args)
	}
}

// TestSensitiveColumnsAreJudgedAsOthers runs the same rules with and without the
// list of sensitive columns: the same checks fail in the same rows.
func TestSensitiveColumnsAreJudgedAsOthers(t *testing.T) { //nolint:paralleltest // as above
	c := newCanary(t)
	rules := strings.Replace(canaryRules, "    - luhn_check: x\n", "", 1)
	c.write("in/rules/all.yaml", regexp.MustCompile(`(?m)^sensitive:.*\n`).ReplaceAllString(rules, ""))
	c.write("in/masked/all.yaml", rules)
	c.write("in/masked/known.csv", "email\nCANARY-99@example.com\n")
	c.write("in/masked/s.json", `{"type":"object"}`)
	for _, in := range []string{"in/day1.csv", "in/day2.jsonl", "in/day3.parquet", "in/day4.parquet", "in/nested.jsonl"} {
		plain, masked := c.verdicts(in, "in/rules"), c.verdicts(in, "in/masked")
		require.Len(t, masked, len(plain))
		for i, p := range plain {
			m := masked[i]
			m.Value, m.Message, p.Value, p.Message = nil, "", nil, ""
			for k := range p.FailingRows {
				p.FailingRows[k].Value, m.FailingRows[k].Value = nil, nil
			}
			for k := range p.Segments { // their order among equals may differ
				p.Segments[k].Value, m.Segments[k].Value = nil, nil
				p.Segments[k].Observed, m.Segments[k].Observed = nil, nil
			}
			require.Equal(t, p, m, "%s of %s", p.ID, in)
		}
	}
}

type verdictJSON struct {
	ID, Status, Reason string
	Evaluated, Failed  *int64
	Value              any
	Message            string
	FailingRows        []struct {
		Row   int64
		Value any
	} `json:"failing_rows"`
	Segments []struct {
		Status            string
		Value, Observed   any
		Evaluated, Failed *int64
	}
}

func (c *canary) verdicts(in, rules string) []verdictJSON {
	c.t.Helper()
	var out, errs bytes.Buffer
	code := cli.Run(c.t.Context(), strings.Fields("check "+in+" -o json --rules "+rules), "test", strings.NewReader(""), &out, &errs)
	require.Equal(c.t, 1, code, errs.String())
	var report struct{ Results []verdictJSON }
	require.NoError(c.t, json.Unmarshal(out.Bytes(), &report))
	require.Greater(c.t, len(report.Results), 60)
	return report.Results
}
