package runner

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/queue"
)

// ErrBusy says that another process works on the units of the same store.
var ErrBusy = errors.New("another process is working on the units of this store; wait for its end, or use a store on Postgres, where many can work")

// ErrStore says that the store does not take what became of a unit.
var ErrStore = errors.New("the store cannot be written")

// storedVersion is the version of stored.
const storedVersion = 1

// stored is what the store keeps of a unit in a step, and of each output that
// was ever accepted, as JSON. Paths are relative to the work directory if they
// are below it.
type stored struct {
	Version     int            `json:"version"`
	Run         string         `json:"run"`
	Fingerprint string         `json:"fingerprint"`
	Rules       string         `json:"rules"`
	Inputs      []string       `json:"inputs"` // hashes
	InputFiles  []string       `json:"input_files"`
	Set         string         `json:"set,omitempty"` // setUnit
	Split       string         `json:"split,omitempty"`
	Parts       []part         `json:"parts,omitempty"`
	Sections    []section      `json:"sections,omitempty"`
	State       State          `json:"state"`
	Cause       Cause          `json:"cause,omitempty"`
	Error       string         `json:"error,omitempty"`
	Stderr      string         `json:"stderr,omitempty"`
	Output      string         `json:"output,omitempty"`
	SHA256      string         `json:"sha256,omitempty"`
	Bytes       int64          `json:"bytes,omitempty"`
	Verdict     *checks.Status `json:"verdict"`
	InputBad    bool           `json:"input_bad,omitempty"`
	Rows        *int64         `json:"rows"`
	RowsIn      *int64         `json:"rows_in"`
	Rejects     int64          `json:"rejects,omitempty"`
	Attempts    int            `json:"attempts"`
	CPUSeconds  float64        `json:"cpu_seconds"`
	PeakBytes   int64          `json:"peak_bytes"`
	At          time.Time      `json:"at"`
}

// DeadLetter is a unit that was given up or kept back in a step, with its reason.
type DeadLetter struct {
	Version       int    `json:"version"`
	Pipeline      string `json:"pipeline"`
	Step          string `json:"step"`
	Unit          string `json:"unit"`
	CorrelationID string `json:"correlation_id"`
	Run           string `json:"run"`
	// Source is the unit's file in the source, relative to the pipeline file.
	Source string `json:"source"`
	// Inputs are the absolute paths of what the step read.
	Inputs []string `json:"inputs"`
	// State is dead, quarantined or blocked.
	State State `json:"state"`
	Cause Cause `json:"cause"`
	// Error says what went wrong, and Stderr is the end of what the command
	// wrote there, at most 4 KiB.
	Error    string `json:"error"`
	Stderr   string `json:"stderr"`
	Attempts int    `json:"attempts"`
	// Verdict is null if the output was never judged.
	Verdict *checks.Status `json:"verdict"`
	// Output is the absolute path of the output that was kept back, or empty.
	Output string    `json:"output"`
	At     time.Time `json:"at"`
}

func (r *Runner) stepDir(step int) string {
	return filepath.Join(r.work, "steps", r.options.Pipeline.Steps[step].Name, r.prints[step][:16])
}

// path returns a stored path as this process sees it, relative its inverse.
func (r *Runner) path(stored string) string {
	if stored == "" || filepath.IsAbs(stored) {
		return stored
	}
	return filepath.Join(r.work, filepath.FromSlash(stored))
}

func (r *Runner) relative(path string) string {
	if rel, err := filepath.Rel(r.work, path); err == nil && path != "" && filepath.IsLocal(rel) {
		return filepath.ToSlash(rel)
	}
	return path
}

// outputName is the name of the file that an attempt writes. No two attempts have
// the same one.
func (r *Runner) outputName(l *queue.Lease) string { return l.Unit + ".a" + strconv.Itoa(l.Attempt) }

// intact reports whether the output is on disk as it was when it was recorded.
// folder says that it is one.
func (r *Runner) intact(rec *stored, folder bool) bool {
	if rec.Output == "" {
		return false
	}
	path := r.path(rec.Output)
	if folder {
		files, err := listFolder(path)
		sum, size := folderSum(files)
		return err == nil && sum == rec.SHA256 && size == rec.Bytes
	}
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() != rec.Bytes {
		return false
	}
	sum, _, err := hashFile(path)
	return err == nil && sum == rec.SHA256
}

// removeOlder removes the outputs of earlier attempts at a unit. What cannot be
// removed is in nobody's way.
func (r *Runner) removeOlder(step int, unit, keep string) {
	old, _ := filepath.Glob(filepath.Join(escapePattern(r.stepDir(step)), unit+".a*"))
	for _, path := range old {
		if name := filepath.Base(path); name != keep && name != keep+".rejects" && name != keep+".parts" {
			os.RemoveAll(path) //nolint:errcheck // as said above
		}
	}
}

func escapePattern(path string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(path)
}

// publish makes a finished temporary file, or a folder whose files are on disk,
// durable under its final name.
func publish(temporary, final string) error {
	f, err := os.Open(temporary)
	if err != nil {
		return err
	}
	err = f.Sync()
	f.Close()
	if err == nil {
		err = os.Rename(temporary, final)
	}
	if err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(final))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// maxRejects is how many bad records one attempt may report. A step that reports
// more has another problem than bad records.
const maxRejects = 100_000

// countRejects checks that each line of a file is a JSON object and counts them.
func countRejects(path string) (n int64, err error) {
	err = eachReject(path, func([]byte) { n++ })
	return n, err
}

func eachReject(path string, f func(line []byte)) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	in, count := bufio.NewReaderSize(file, maxRejectLine), int64(0)
	for {
		line, err := in.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			return fmt.Errorf("line %d of the rejects is longer than 1 MiB", count+1)
		case err != nil && !errors.Is(err, io.EOF):
			return err
		case len(bytes.TrimSpace(line)) > 0:
			if count++; !isObject(line) {
				return fmt.Errorf("line %d of the rejects is not a JSON object", count)
			}
			if count > maxRejects {
				return fmt.Errorf("more than %d records were rejected; exit with 65 if the input as a whole is bad", maxRejects)
			}
			f(bytes.TrimSpace(line))
		}
		if err != nil {
			return nil
		}
	}
}

// readRejects reads what a command reported. Of each object the keys record (or
// id, or row), reason (or error) and body are understood; without a body the
// whole object is the body.
func readRejects(path string) (all []queue.Reject, err error) {
	err = eachReject(path, func(line []byte) {
		var o struct {
			Record, ID, Row json.RawMessage
			Reason, Error   string
			Body            json.RawMessage
		}
		_ = json.Unmarshal(line, &o) // it is an object; a key of another type stays empty
		r := queue.Reject{N: int64(len(all)) + 1, Reason: cmp.Or(o.Reason, o.Error), Body: plain(o.Body)}
		for _, name := range []json.RawMessage{o.Record, o.ID, o.Row} {
			if r.Record == "" {
				r.Record = plain(name)
			}
		}
		if r.Body == "" {
			r.Body = string(line)
		}
		// Postgres holds no NUL.
		for _, s := range []*string{&r.Record, &r.Reason, &r.Body} {
			*s = strings.ReplaceAll(strings.ToValidUTF8(*s, "\uFFFD"), "\x00", "\u2400")
		}
		all = append(all, r)
	})
	return all, err
}

// plain returns a JSON text as it is meant, and other values as they are written.
func plain(v json.RawMessage) string {
	var s string
	if json.Unmarshal(v, &s) == nil {
		return s
	}
	return string(v)
}

func isObject(line []byte) bool {
	line = bytes.TrimSpace(line)
	return len(line) > 0 && line[0] == '{' && json.Valid(line)
}
