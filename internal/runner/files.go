package runner

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/checks"
)

// ErrBusy says that another run works in the same directory.
var ErrBusy = errors.New("another run is working there; wait for its end or choose another work directory")

// record is what is kept of a unit that has an output, beside the output. Its
// existence is what makes the output count.
type record struct {
	Version       int            `json:"version"`
	Pipeline      string         `json:"pipeline"`
	Step          string         `json:"step"`
	Unit          string         `json:"unit"`
	Source        string         `json:"source"`
	CorrelationID string         `json:"correlation_id"`
	Run           string         `json:"run"`
	Fingerprint   string         `json:"fingerprint"`
	Rules         string         `json:"rules"`
	Inputs        []string       `json:"inputs"`
	State         State          `json:"state"`
	Cause         Cause          `json:"cause,omitempty"`
	Output        string         `json:"output"`
	SHA256        string         `json:"sha256"`
	Bytes         int64          `json:"bytes"`
	Verdict       *checks.Status `json:"verdict"`
	InputBad      bool           `json:"input_bad,omitempty"`
	Rows          *int64         `json:"rows"`
	RowsIn        *int64         `json:"rows_in"`
	Rejects       int64          `json:"rejects"`
	Attempts      int            `json:"attempts"`
	CPUSeconds    float64        `json:"cpu_seconds"`
	PeakBytes     int64          `json:"peak_bytes"`
	At            time.Time      `json:"at"`
}

// DeadLetter is a unit that was given up or kept back in a step, with its reason.
// It is a JSON file in the work directory, dead/<step>/<unit>.json, until the
// unit is done.
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

func (r *Runner) letterPath(step int, u *unit) string {
	return filepath.Join(r.work, "dead", r.options.Pipeline.Steps[step].Name, u.id+".json")
}

// sweep removes the temporary files that a killed run left. The lock makes sure
// that nobody is writing them.
func (r *Runner) sweep() error {
	for _, dir := range []string{"steps", "dead"} {
		err := filepath.WalkDir(filepath.Join(r.work, dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if name := d.Name(); !d.IsDir() && strings.HasPrefix(name, ".") && strings.HasSuffix(name, ".tmp") {
				return os.Remove(path)
			}
			return nil
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("clean the work directory: %w", err)
		}
	}
	return nil
}

// load reads the record of a unit, nil if there is none that can be used.
func (r *Runner) load(step int, u *unit) *record {
	data, err := os.ReadFile(filepath.Join(r.stepDir(step), u.id+".json"))
	if err != nil {
		return nil
	}
	var rec record
	if json.Unmarshal(data, &rec) != nil || rec.Version != 1 || rec.Fingerprint != r.prints[step] || filepath.Base(rec.Output) != rec.Output {
		return nil // of another version or damaged: the unit runs again
	}
	return &rec
}

// intact reports whether the output is on disk as it was when it was recorded.
func (r *Runner) intact(step int, rec *record) bool {
	path := filepath.Join(r.stepDir(step), rec.Output)
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() != rec.Bytes {
		return false
	}
	sum, _, err := hashFile(path)
	return err == nil && sum == rec.SHA256
}

// commit writes the record and removes older outputs of the unit.
func (r *Runner) commit(step int, u *unit, rec *record) error {
	dir := r.stepDir(step)
	if err := writeJSON(filepath.Join(dir, u.id+".json"), rec); err != nil {
		return err
	}
	old, err := filepath.Glob(filepath.Join(escapePattern(dir), u.id+".a*"))
	if err != nil {
		return err
	}
	for _, path := range old {
		if name := filepath.Base(path); name != rec.Output && name != rec.Output+".rejects" {
			if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	if rec.State == Done {
		if err := os.Remove(r.letterPath(step, u)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func escapePattern(path string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(path)
}

// writeJSON replaces a file so that after a crash it is the old or the new one.
func writeJSON(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	temporary := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".tmp")
	err = os.WriteFile(temporary, append(data, '\n'), 0o644)
	if err == nil {
		err = publish(temporary, path)
	}
	if err != nil {
		os.Remove(temporary) //nolint:errcheck // it may be gone
	}
	return err
}

// publish makes a finished temporary file durable under its final name.
func publish(temporary, final string) error {
	f, err := os.OpenFile(temporary, os.O_RDWR, 0)
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

// countRejects checks that each line of a file is a JSON object and counts them.
func countRejects(path string) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	in, count := bufio.NewReaderSize(f, maxRejectLine), int64(0)
	for {
		line, err := in.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			return count, fmt.Errorf("line %d of the rejects is longer than 1 MiB", count+1)
		case err != nil && !errors.Is(err, io.EOF):
			return count, err
		case len(bytes.TrimSpace(line)) > 0:
			if count++; !isObject(line) {
				return count, fmt.Errorf("line %d of the rejects is not a JSON object", count)
			}
		}
		if err != nil {
			return count, nil
		}
	}
}

func isObject(line []byte) bool {
	line = bytes.TrimSpace(line)
	return len(line) > 0 && line[0] == '{' && json.Valid(line)
}
