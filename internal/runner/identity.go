package runner

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/profilerhq/profiler/internal/pipeline"
)

// UnitID returns the id of the unit with a source key: the first 26 characters
// of the base32 form (RFC 4648) of sha256(pipeline, NUL, key). The same key has
// the same id on every machine and in every run.
func UnitID(pipelineName, key string) string {
	sum := sha256.Sum256([]byte(pipelineName + "\x00" + key))
	return base32.StdEncoding.EncodeToString(sum[:])[:26]
}

var traceparentForm = regexp.MustCompile(`^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$`)

// traceID returns the trace id of a W3C traceparent, or nothing if it is not
// valid by the Trace Context recommendation (section 3.2).
func traceID(traceparent string) string {
	m := traceparentForm.FindStringSubmatch(strings.TrimSpace(traceparent))
	switch {
	case m == nil, m[1] == "ff", m[1] == "00" && m[5] != "":
		return ""
	case strings.Trim(m[2], "0") == "", strings.Trim(m[3], "0") == "":
		return ""
	}
	return m[2]
}

// traceparent returns the header of one attempt: the trace is the correlation's,
// the span the attempt's. Both follow from their ids alone.
func traceparent(correlation, run, step, unit string, attempt int) string {
	trace := correlation
	if len(trace) != 32 {
		sum := sha256.Sum256([]byte("trace\x00" + correlation))
		trace = hex.EncodeToString(sum[:16])
	}
	span := sha256.Sum256(fmt.Appendf(nil, "span\x00%s\x00%s\x00%s\x00%d", run, step, unit, attempt))
	return "00-" + trace + "-" + hex.EncodeToString(span[:8]) + "-01"
}

// fingerprint identifies what a step does: the hash of its command, of the files
// that the command names, and of its settings without rules and on_fail.
func fingerprint(p *pipeline.Pipeline, s *pipeline.Step) (string, error) {
	h := sha256.New()
	inDatabase, err := s.SQL.Does(p)
	if err != nil {
		return "", fmt.Errorf("fingerprint of step %q: %w", s.Name, err)
	}
	ranges := ""
	if isRanges(s) {
		ranges = s.Split.String()
	}
	err = json.NewEncoder(h).Encode(struct {
		Run     []string
		Shell   string
		Needs   []pipeline.Need
		Format  pipeline.Format
		Dataset string
		Profile pipeline.Profile
		Timeout int64
		Retry   pipeline.Retry
		Rejects pipeline.Rejects
		Workers int
		URL     string `json:",omitempty"`
		Batch   int    `json:",omitempty"`
		Worker  bool   `json:",omitempty"`
		FanIn   bool   `json:",omitempty"`
		SQL     any    `json:",omitempty"`
		Folder  bool   `json:",omitempty"`
		Ranges  string `json:",omitempty"`
	}{s.Run, s.Shell, s.Needs, s.Format, s.Dataset, s.Profile, int64(s.Timeout), s.Retry, s.Rejects, s.Workers.Max, s.HTTP.Address(), s.HTTP.BatchSize(), s.Worker, s.FanIn, inDatabase, s.Folder(), ranges})
	if err != nil {
		return "", fmt.Errorf("fingerprint of step %q: %w", s.Name, err)
	}
	for _, name := range namedFiles(s) {
		path, err := filepath.Abs(p.Path(name))
		if err != nil {
			return "", fmt.Errorf("fingerprint of step %q: %w", s.Name, err)
		}
		if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
			continue // a word that is no file
		}
		sum, _, err := hashFile(path)
		if err != nil {
			return "", fmt.Errorf("fingerprint of step %q: %w", s.Name, err)
		}
		fmt.Fprintf(h, "%q %s\n", name, sum)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// namedFiles returns the words of a command that may be files which decide what
// it does. A program that is found by the PATH is not among them, nor are the
// files that a text for the shell writes by > or tee.
func namedFiles(s *pipeline.Step) []string {
	if s.Shell == "" && len(s.Run) == 0 {
		return nil
	}
	if s.Shell == "" {
		words := slices.Clone(s.Run)
		if !strings.Contains(words[0], "/") {
			words = words[1:]
		}
		return words
	}
	text := s.Shell
	for _, op := range []string{";", "|", "&", "(", ")", "\n", ">", "<"} {
		text = strings.ReplaceAll(text, op, " "+op+" ")
	}
	var words []string
	skip, command := false, ""
	for _, word := range strings.Fields(text) {
		word = strings.Trim(word, `"'`)
		switch {
		case word == ">" || skip && word == "&":
			skip = true
			continue
		case strings.ContainsAny(word, ";|&()"):
			command = ""
		case skip, command == "tee":
		default:
			if command == "" {
				command = word
			}
			if word != "" && word != "<" {
				words = append(words, word)
			}
		}
		skip = false
	}
	return words
}

// hashFile returns the sha256 of a file in hexadecimal and its size in bytes.
func hashFile(path string) (sum string, size int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	h := sha256.New()
	size, err = io.Copy(h, f)
	if err != nil {
		return "", 0, fmt.Errorf("read %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), size, nil
}
