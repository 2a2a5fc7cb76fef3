package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/profilerhq/profiler/internal/queue"
)

// sourceFile is a file that a unit was made of, as JSON in the queue.
type sourceFile struct {
	Path       string `json:"path"`
	Bytes      int64  `json:"bytes"`
	ModifiedNS int64  `json:"modified_ns"`
	// Problem says why the unit cannot be worked on.
	Problem string `json:"problem,omitempty"`
}

// units lists the source as what may enter the first steps. Files that cannot be
// read are units too, which will be dead.
func (r *Runner) units(ctx context.Context) ([]queue.Offer, error) {
	p := r.options.Pipeline
	if p.Source == nil {
		// A run without input is a unit of its own, so that a later run is not
		// taken for finished.
		return []queue.Offer{r.offer(UnitID(p.Name, r.options.RunID), "", "")}, nil
	}
	switch {
	case p.Source.Streams():
		return nil, nil // they come one after the other
	case p.Source.SQL != nil:
		return r.rowUnits(ctx)
	case p.Source.HTTP != nil:
		return nil, nil // they come by themselves
	}
	paths, err := r.sourceFiles()
	if err != nil {
		return nil, err
	}
	all := make([][]queue.Offer, len(paths))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(r.options.Workers)
	for i, path := range paths {
		group.Go(func() error {
			var err error
			all[i], err = r.identify(ctx, path)
			return errors.Join(err, ctx.Err())
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	// Two files with one key are one unit, the first of them.
	seen := map[string]bool{}
	return slices.DeleteFunc(slices.Concat(all...), func(u queue.Offer) bool {
		double := seen[u.Unit]
		if double {
			r.log.Info("file has the key of another one and is the same unit", "file", u.Source, "unit", u.Unit)
		}
		seen[u.Unit] = true
		return double
	}), nil
}

// sourceFiles lists the files of the source, sorted.
func (r *Runner) sourceFiles() ([]string, error) {
	p := r.options.Pipeline
	var paths []string
	for _, pattern := range p.Source.Files {
		found, err := r.expand(pattern)
		if err != nil {
			return nil, fmt.Errorf("source of %s: %w", p.Name, err)
		}
		if len(found) == 0 && !p.Source.Watch {
			r.log.Warn("no file matches the pattern", "pattern", pattern, "pipeline", p.Name)
		}
		paths = append(paths, found...)
	}
	slices.Sort(paths)
	return slices.Compact(paths), nil
}

// offer makes a unit of the source.
func (r *Runner) offer(id, name, input string) queue.Offer {
	o := queue.Offer{Key: queue.Key{Pipeline: r.options.Pipeline.Name, Unit: id}, Run: r.options.RunID, Correlation: id, Source: name, Input: input}
	if r.trace != "" {
		o.Correlation = r.trace
	}
	return o
}

// identify makes a unit of a file, or several if it is cut.
func (r *Runner) identify(ctx context.Context, path string) ([]queue.Offer, error) {
	p := r.options.Pipeline
	name := filepath.ToSlash(path)
	if rel, err := filepath.Rel(r.dir, path); err == nil {
		name = filepath.ToSlash(rel)
	}
	sum, file := "", sourceFile{Path: path}
	err := readable(path, name)
	if err == nil {
		file, err = statSource(path)
	}
	if err == nil && strings.Contains(p.Source.Key, "{sha256}") {
		sum, _, err = hashFile(path)
	}
	key := strings.NewReplacer("{path}", name, "{name}", filepath.Base(path), "{sha256}", sum).Replace(p.Source.Key)
	if err != nil {
		return []queue.Offer{r.offer(UnitID(p.Name, "unreadable:"+name), name, file.text())}, nil
	}
	return r.cutSource(ctx, r.offer(UnitID(p.Name, key), name, file.text()), key, file)
}

func (f sourceFile) text() string {
	b, err := json.Marshal(f)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return string(b)
}

// statSource describes a file that a unit is made of.
func statSource(path string) (sourceFile, error) {
	info, err := os.Stat(path)
	if err != nil {
		return sourceFile{Path: path}, err
	}
	return sourceFile{Path: path, Bytes: info.Size(), ModifiedNS: info.ModTime().UnixNano()}, nil
}

// readable says why a file of the source cannot be read, or nothing.
func readable(path, name string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", name)
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return f.Close()
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
