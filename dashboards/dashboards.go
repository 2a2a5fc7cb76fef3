// Package dashboards carries the files of this folder in the program: the
// Grafana dashboards, how Grafana loads them, and the Prometheus rules.
package dashboards

import (
	"bytes"
	"embed"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// files are the files of this folder, without the rules' own tests.
//
//go:embed README.md .lint *.json provisioning/*.yaml prometheus/*.rules.yml
var files embed.FS

// GrafanaURL and RunbookURL begin the links of the files in this folder.
const (
	GrafanaURL = "http://localhost:3000"
	RunbookURL = "https://github.com/profilerhq/profiler/blob/main/docs/runbooks/"
)

// Options of Write; empty ones leave the links as they are.
type Options struct {
	// GrafanaURL is the address of the user's Grafana, without a slash at the
	// end.
	GrafanaURL string
	// RunbookURL is what the name of a runbook's file is put behind.
	RunbookURL string
}

// File is a file that Write wrote.
type File struct {
	// Path is that of the file, with the folder.
	Path string
	// State is "new", "changed" or "same", as seen from what was there before.
	State string
}

// Write writes the files to a folder, which is made if it does not exist. What
// it wrote before an error is returned beside it.
func Write(dir string, o Options) ([]File, error) {
	replace := strings.NewReplacer()
	if pairs := o.pairs(); len(pairs) > 0 {
		replace = strings.NewReplacer(pairs...)
	}
	var written []File
	err := fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := files.ReadFile(path)
		if err != nil {
			return err
		}
		f, err := write(filepath.Join(dir, filepath.FromSlash(path)), []byte(replace.Replace(string(data))))
		if err == nil {
			written = append(written, f)
		}
		return err
	})
	return written, err
}

func (o *Options) pairs() (pairs []string) {
	if o.GrafanaURL != "" {
		pairs = append(pairs, GrafanaURL, o.GrafanaURL)
	}
	if o.RunbookURL != "" {
		pairs = append(pairs, RunbookURL, o.RunbookURL)
	}
	return pairs
}

// write replaces a file as a whole: Grafana, which may be reading the folder,
// sees the old one or the new one.
func write(path string, data []byte) (File, error) {
	f := File{Path: path, State: "new"}
	if before, err := os.ReadFile(path); err == nil {
		if f.State = "changed"; bytes.Equal(before, data) {
			f.State = "same"
			return f, nil
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return f, err
	}
	part := path + ".part"
	if err := os.WriteFile(part, data, 0o644); err != nil {
		return f, err
	}
	if err := os.Rename(part, path); err != nil {
		os.Remove(part) //nolint:errcheck // the error of the rename tells
		return f, err
	}
	return f, nil
}
