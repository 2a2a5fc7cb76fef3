package runner

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// unit is a piece of work on its way through the steps.
type unit struct {
	index       int
	id          string
	correlation string
	name        string // the path relative to the pipeline file, with slashes; empty without a source
	path        string // absolute; empty without a source
	key         string
	size        int64
	modified    time.Time
	err         error // why the file cannot be read
	outcomes    []*outcome
}

// units lists the source. Files that cannot be read are units with an error.
func (r *Runner) units(ctx context.Context) ([]*unit, error) {
	p := r.options.Pipeline
	if p.Source == nil {
		// A run without input is a unit of its own, so that a later run is not
		// taken for finished.
		u := &unit{id: UnitID(p.Name, r.options.RunID), key: r.options.RunID}
		return r.prepare([]*unit{u}), nil
	}
	var paths []string
	for _, pattern := range p.Source.Files {
		found, err := r.expand(pattern)
		if err != nil {
			return nil, fmt.Errorf("source of %s: %w", p.Name, err)
		}
		if len(found) == 0 {
			r.log.Warn("no file matches the pattern", "pattern", pattern, "pipeline", p.Name)
		}
		paths = append(paths, found...)
	}
	slices.Sort(paths)
	paths = slices.Compact(paths)
	all := make([]*unit, len(paths))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(r.options.Workers)
	for i, path := range paths {
		group.Go(func() error {
			all[i] = r.identify(path)
			return ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	// Two files with one key are one unit, the first of them.
	seen := map[string]bool{}
	all = slices.DeleteFunc(all, func(u *unit) bool {
		double := seen[u.id]
		if double {
			r.log.Info("file has the key of another one and is the same unit", "file", u.name, "unit", u.id)
		}
		seen[u.id] = true
		return double
	})
	return r.prepare(all), nil
}

func (r *Runner) prepare(units []*unit) []*unit {
	for i, u := range units {
		u.index, u.outcomes = i, make([]*outcome, len(r.options.Pipeline.Steps))
		u.correlation = u.id
		if r.trace != "" {
			u.correlation = r.trace
		}
	}
	return units
}

// identify makes a unit of a file.
func (r *Runner) identify(path string) *unit {
	p := r.options.Pipeline
	u := &unit{path: path, name: filepath.ToSlash(path)}
	if rel, err := filepath.Rel(r.dir, path); err == nil {
		u.name = filepath.ToSlash(rel)
	}
	sum := ""
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", u.name)
	}
	if err == nil {
		u.size, u.modified = info.Size(), info.ModTime()
		if strings.Contains(p.Source.Key, "{sha256}") {
			sum, _, err = hashFile(path)
		} else {
			var f *os.File
			if f, err = os.Open(path); err == nil {
				f.Close()
			}
		}
	}
	u.err = err
	u.key = strings.NewReplacer("{path}", u.name, "{name}", filepath.Base(path), "{sha256}", sum).Replace(p.Source.Key)
	if err != nil {
		u.key = "unreadable:" + u.name
	}
	u.id = UnitID(p.Name, u.key)
	return u
}

// expand lists the files of a pattern below the pipeline's directory. Folders
// are left out, and so are names that start with a dot unless the pattern says
// the dot. Unlike filepath.Glob it reports folders that cannot be read.
func (r *Runner) expand(pattern string) ([]string, error) {
	if !filepath.IsAbs(pattern) {
		pattern = r.dirPattern() + "/" + filepath.ToSlash(pattern)
	}
	found := []string{"/"}
	parts := strings.FieldsFunc(pattern, func(c rune) bool { return c == '/' })
	for i, part := range parts {
		var next []string
		for _, dir := range found {
			names, err := match(dir, part, i < len(parts)-1)
			if err != nil {
				return nil, err
			}
			next = append(next, names...)
		}
		found = next
	}
	return found, nil
}

// dirPattern returns the pipeline's directory as a pattern that matches itself.
func (r *Runner) dirPattern() string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(r.dir)
}

func match(dir, part string, wantDir bool) ([]string, error) {
	if !strings.ContainsAny(part, `*?[`) || !strings.ContainsAny(unescape(part, ""), `*?[`) {
		path := filepath.Join(dir, unescape(part, "keep"))
		info, err := os.Stat(path)
		if err != nil {
			return nil, err // a name without a pattern has to be there
		}
		if !wantDir && info.IsDir() {
			return nil, fmt.Errorf("%s is a folder; name the files in it, such as %s", path, filepath.Join(path, "*"))
		}
		return []string{path}, nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, e := range entries {
		if ok, _ := filepath.Match(part, e.Name()); !ok || strings.HasPrefix(e.Name(), ".") && !strings.HasPrefix(part, ".") {
			continue
		}
		path := filepath.Join(dir, e.Name())
		info, err := os.Stat(path)
		if err != nil && (wantDir || !errors.Is(err, fs.ErrNotExist)) {
			if wantDir {
				continue
			}
			return nil, err
		}
		if err == nil && info.IsDir() != wantDir {
			continue
		}
		found = append(found, path)
	}
	return found, nil
}

// unescape removes the backslashes of a pattern. Characters behind one are kept
// or dropped.
func unescape(part, escaped string) string {
	var b strings.Builder
	for i := 0; i < len(part); i++ {
		if part[i] == '\\' && i+1 < len(part) {
			i++
			if escaped == "" {
				continue
			}
		}
		b.WriteByte(part[i])
	}
	return b.String()
}
