package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/profilerhq/profiler/internal/queue"
)

const (
	// orphanAge is how old a file has to be that no row of the store points to
	// before it is removed: who writes one commits its row sooner.
	orphanAge = 24 * time.Hour
	// sweepEvery is how often old files are looked for.
	sweepEvery = time.Hour
)

// sweep removes the temporary files that a killed process left: all of them where
// nobody else can be writing, else those of attempts that hold no unit any more.
func (r *Runner) sweep(ctx context.Context, alone bool) error {
	working := map[string]bool{}
	if !alone {
		all, err := r.options.Queue.Working(ctx)
		if err != nil {
			return err
		}
		for i := range all {
			working["."+r.outputName(&queue.Lease{Key: all[i].Key, Attempt: all[i].Attempt})] = true
		}
	}
	before := r.options.Clock.Now().Add(-2 * r.options.Lease)
	for _, dir := range []string{"steps", "source"} {
		// What comes in from outside does not wait for the steps to begin.
		if err := sweepDir(filepath.Join(r.work, dir), alone && dir == "steps", before, working); err != nil {
			return fmt.Errorf("clean the work directory: %w", err)
		}
	}
	return nil
}

// sweepDir removes temporaries below a folder: all, or those that are older than
// a time and belong to no attempt that works.
func sweepDir(dir string, all bool, before time.Time, working map[string]bool) error {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if !strings.HasPrefix(name, ".") || !strings.HasSuffix(name, ".tmp") {
			return nil
		}
		attempt := attemptName.FindString(name[1:])
		if info, err := d.Info(); !all && (err != nil || info.ModTime().After(before) || working["."+attempt]) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil // it may be gone by now
		}
		if d.IsDir() {
			if err := os.RemoveAll(path); err != nil {
				return err
			}
			return fs.SkipDir
		}
		return os.Remove(path)
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// attemptName matches how the files of an attempt at a unit begin.
var attemptName = regexp.MustCompile(`^[A-Z2-7]{26}\.a[0-9]+`)

// attemptOf returns the beginning of the name that a stored path has in its
// attempt's folder, empty if it is no file of an attempt.
func attemptOf(path string) string {
	for _, element := range strings.Split(filepath.ToSlash(path), "/") {
		if name := attemptName.FindString(element); name != "" {
			return name
		}
	}
	return ""
}

// claimed is what the file of that name in the work directory says: whose files
// these are. Its time is that of the last sweep.
type claimed struct {
	// Store names the database, "several" if more than one used the folder: then
	// nobody knows which files are wanted.
	Store string `json:"store"`
	// Since is when it began to be used. Older files are left alone.
	Since time.Time `json:"since"`
}

const severalStores = "several"

// sweepOrphans removes what no row of the store points to and has not changed for
// orphanAge, as a crash between a file and its commit leaves it. It does so at
// most once in sweepEvery, whoever asks.
func (r *Runner) sweepOrphans(ctx context.Context) error {
	now := r.options.Clock.Now()
	since, due, err := r.claimFolder(ctx, now)
	if err != nil || !due {
		return err
	}
	old := func(path string) bool {
		at, err := changedAt(path)
		return err == nil && at.After(since) && at.Before(now.Add(-orphanAge))
	}
	return errors.Join(r.orphanInputs(ctx, old), r.orphanOutputs(ctx, old))
}

// claimFolder reports whether a sweep is due, and notes it. What was there before
// since may be another store's.
func (r *Runner) claimFolder(ctx context.Context, now time.Time) (since time.Time, due bool, err error) {
	id, err := r.options.Queue.StoreID(ctx)
	if err != nil {
		return since, false, err
	}
	path := filepath.Join(r.work, "claimed.json")
	c := claimed{Store: id, Since: now}
	text, err := os.ReadFile(path)
	switch {
	case err == nil && json.Unmarshal(text, &c) != nil: // it was cut off by a crash
		c = claimed{Store: id, Since: now}
	case err == nil:
		info, err := os.Stat(path)
		if err != nil {
			return since, false, err
		}
		if c.Store == severalStores {
			return since, false, nil
		}
		if ago := now.Sub(info.ModTime()); c.Store == id && ago >= 0 && ago < sweepEvery {
			return since, false, nil
		}
		if c.Store != id {
			c.Store = severalStores
		}
	case !errors.Is(err, fs.ErrNotExist):
		return since, false, err
	}
	text, err = json.Marshal(c)
	if err == nil {
		err = os.WriteFile(path, append(text, '\n'), 0o644)
	}
	if err == nil {
		err = os.Chtimes(path, now, now)
	}
	return c.Since, err == nil && c.Store == id, err
}

// freshen keeps an old file from the sweep for a while, since a row that points to
// it is about to be written. Its content and the time of its last change stay.
func freshen(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return os.Chtimes(path, time.Now(), info.ModTime())
}

// orphanInputs removes inputs that sources stored and no unit has.
func (r *Runner) orphanInputs(ctx context.Context, old func(string) bool) error {
	found := map[string][]string{} // paths by name
	rejected := false
	for _, dir := range []string{r.originDir(), filepath.Join(r.work, "replays")} {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, e := range entries {
			if path := filepath.Join(dir, e.Name()); old(path) {
				found[e.Name()] = append(found[e.Name()], path)
				rejected = rejected || strings.HasPrefix(e.Name(), rejectedFile)
			}
		}
	}
	if len(found) == 0 {
		return nil
	}
	wanted := func(path string) {
		for _, element := range strings.Split(filepath.ToSlash(path), "/") {
			delete(found, element)
		}
	}
	err := r.options.Queue.EachInput(ctx, func(unit, run, input string) {
		delete(found, unit)
		delete(found, strings.TrimPrefix(run, pushRun)) // the list of a body that was cut
		var file sourceFile
		if json.Unmarshal([]byte(input), &file) == nil {
			wanted(file.Path)
		}
	})
	if err == nil && rejected {
		err = r.options.Queue.EachRejectFile(ctx, func(body string) {
			var b struct{ File string }
			if json.Unmarshal([]byte(body), &b) == nil {
				wanted(b.File)
			}
		})
	}
	if err != nil {
		return err
	}
	return r.removeOrphans(found)
}

// orphanOutputs removes outputs that attempts left and nothing points to.
func (r *Runner) orphanOutputs(ctx context.Context, old func(string) bool) error {
	steps, err := os.ReadDir(filepath.Join(r.work, "steps"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, step := range steps {
		err = errors.Join(err, r.orphansOfStep(ctx, step.Name(), old))
	}
	return err
}

func (r *Runner) orphansOfStep(ctx context.Context, step string, old func(string) bool) error {
	paths, err := filepath.Glob(filepath.Join(escapePattern(filepath.Join(r.work, "steps", step)), "*", "*"))
	if err != nil {
		return err
	}
	found := map[string][]string{} // by attempt
	var units []string
	for _, path := range paths {
		attempt := attemptOf(filepath.Base(path))
		if attempt == "" || !old(path) {
			continue
		}
		if found[attempt] == nil {
			units = append(units, strings.SplitN(attempt, ".", 2)[0])
		}
		found[attempt] = append(found[attempt], path)
	}
	wanted := func(body string) {
		if o := decode(body); o != nil {
			delete(found, attemptOf(o.Output))
			for _, p := range o.Parts {
				delete(found, attemptOf(p.Path))
			}
		}
	}
	q := r.options.Queue
	for _, all := range [][]string{units, nil} { // few are left for the second, long look
		if len(found) == 0 {
			return nil
		}
		if err := q.EachStored(ctx, r.options.Pipeline.Name, step, all, wanted); err != nil {
			return err
		}
	}
	return r.removeOrphans(found)
}

func (r *Runner) removeOrphans(found map[string][]string) (err error) {
	for _, paths := range found {
		for _, path := range paths {
			r.log.Info("a file that nothing points to is removed", "path", path)
			err = errors.Join(err, os.RemoveAll(path))
		}
	}
	return err
}

// sweepOrigins removes the inputs that were stored longer ago than the source says
// and whose units are finished.
func (r *Runner) sweepOrigins(ctx context.Context) error {
	s := r.options.Pipeline.Source
	if s == nil || s.SQL == nil && s.HTTP == nil {
		return nil
	}
	entries, err := os.ReadDir(r.originDir())
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	now, begun := r.options.Clock.Now(), time.Now()
	over := map[string]bool{}
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && !strings.HasPrefix(e.Name(), ".") && now.Sub(info.ModTime()) >= s.Keep {
			over[e.Name()] = true
		}
	}
	if len(over) == 0 {
		return nil
	}
	if err := r.options.Queue.EachOpen(ctx, r.options.Pipeline.Name, func(unit string) { delete(over, unit) }); err != nil {
		return err
	}
	for name := range over {
		path := filepath.Join(r.originDir(), name)
		if at, err := changedAt(path); err == nil && at.Before(begun) { // else somebody is about to use it again
			os.Remove(path) //nolint:errcheck // the next sweep
		}
	}
	return nil
}
