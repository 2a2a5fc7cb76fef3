package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/profilerhq/profiler/internal/cut"
	"github.com/profilerhq/profiler/internal/db"
	"github.com/profilerhq/profiler/internal/failpoint"
	"github.com/profilerhq/profiler/internal/pipeline"
	"github.com/profilerhq/profiler/internal/queue"
)

// partPrint is the fingerprint under which the store keeps a part of an output:
// it is what the last version of the step made.
const partPrint = "part"

// part is one of the files that an output is cut into, as the store has it.
type part struct {
	Unit   string `json:"unit"`
	Path   string `json:"path"`
	Name   string `json:"name"`
	Rows   *int64 `json:"rows,omitempty"` // nil of files that the command wrote
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// partUnit is the id of a part of a unit, by its number or the name of its file.
func partUnit(name, parent, spec, which string) string {
	return UnitID(name, "part\x00"+parent+"\x00"+spec+"\x00"+which)
}

// isCut reports whether a step behind reads the parts of the step's outputs.
func isCut(p *pipeline.Pipeline, s *pipeline.Step) bool {
	if s.Split == nil {
		return false
	}
	for i := range p.Steps {
		for _, n := range p.Steps[i].Needs {
			if n.Step == s.Name && !p.Steps[i].FanIn {
				return true
			}
		}
	}
	return false
}

// split cuts the output into parts, unless they are there. An output that cannot
// be cut makes the unit dead.
func (v *visit) split(ctx context.Context) error {
	p := v.r.options.Pipeline
	if v.output == "" || !isCut(p, v.s) {
		return nil
	}
	if v.s.Folder() {
		return v.partsOfFolder()
	}
	spec, dir := v.s.Split.String(), v.output+".parts"
	if before := decode(v.kept); before != nil && before.Split == spec && before.SHA256 == v.sha && v.r.path(before.Output) == v.output && v.r.complete(before.Parts) {
		v.parts = before.Parts
		return nil
	}
	// A stop of the run does not lose work that is done.
	ctx = context.WithoutCancel(ctx)
	cuts, err := v.r.cut(dir, func(to string) ([]cut.Part, error) {
		if isRanges(v.s) {
			return cutSections(ctx, v.output, v.sections, formatExt(v.s.Format.Out), to)
		}
		return cut.File(ctx, v.output, v.s.Format.Out, cut.By{Kind: cut.Kind(v.s.Split.Kind), Rows: v.s.Split.Rows}, to)
	})
	if why := badData(err); why != "" {
		v.err, v.cause = fmt.Errorf("the output cannot be split by %s: %s", spec, why), CauseData
		v.discardOutput()
		v.output, v.judged, v.verdict = "", nil, nil
		v.end(Dead)
		return nil
	}
	if err != nil {
		return fmt.Errorf("split the output of step %q: %w", v.s.Name, err)
	}
	failpoint.Hit("after_split")
	v.parts = nil
	for i, c := range cuts {
		which := strconv.Itoa(i)
		if isRanges(v.s) {
			which = c.Name // the bounds
		}
		v.parts = append(v.parts, part{partUnit(p.Name, v.lease.Unit, spec, which), v.r.relative(c.Path), c.Name, &c.Rows, c.Bytes, c.SHA256})
	}
	return nil
}

// badData returns what is wrong with data that cannot be cut, nothing for
// troubles of the system.
func badData(err error) string {
	var pe *fs.PathError
	var le *os.LinkError
	if err == nil || errors.As(err, &pe) || errors.As(err, &le) || errors.Is(err, context.Canceled) {
		return ""
	}
	return err.Error()
}

// complete reports whether the files of parts are on disk.
func (r *Runner) complete(parts []part) bool {
	for _, p := range parts {
		if info, err := os.Stat(r.path(p.Path)); err != nil || info.Size() != p.Bytes {
			return false
		}
	}
	return len(parts) > 0
}

// cut lets parts be written into a folder, which is there whole or not at all. What
// was there is replaced. write gets the folder in which the files are first.
func (r *Runner) cut(dir string, write func(to string) ([]cut.Part, error)) ([]cut.Part, error) {
	temporary := filepath.Join(filepath.Dir(dir), "."+filepath.Base(dir)+".tmp")
	if err := errors.Join(os.RemoveAll(temporary), os.RemoveAll(dir)); err != nil {
		return nil, err
	}
	defer os.RemoveAll(temporary) //nolint:errcheck // it is renamed
	if err := os.MkdirAll(temporary, 0o755); err != nil {
		return nil, err
	}
	parts, err := write(temporary)
	if err != nil {
		return nil, err
	}
	for i := range parts {
		parts[i].Path = filepath.Join(dir, filepath.Base(parts[i].Path))
	}
	list, err := json.Marshal(parts)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(temporary, manifest), list, 0o644); err != nil {
		return nil, err
	}
	return parts, publish(temporary, dir)
}

// manifest is the file that lists the parts of a folder.
const manifest = "parts.json"

// offerParts returns the units of the parts of a unit for the steps behind.
func offerParts(o queue.Offer, parts []part) []queue.Offer {
	var all []queue.Offer
	for _, p := range parts {
		own := o
		own.Unit, own.Source = p.Unit, partSource(o.Source, p.Name)
		all = append(all, own)
	}
	return all
}

// partSource names a part for people.
func partSource(source, name string) string { return source + "#" + name }

// saveParts writes what the steps behind read, in the transaction that ends the
// unit, and calls parts off that are none any more.
func (v *visit) saveParts(ctx context.Context, tx *db.Tx) error {
	if v.output == "" {
		return nil
	}
	now := map[string]bool{}
	var all []queue.Kept
	for _, p := range v.parts {
		now[p.Unit] = true
		body, err := encode(&stored{Version: storedVersion, Run: v.lease.Run, State: Done, Output: p.Path, SHA256: p.SHA256, Bytes: p.Bytes, Rows: p.Rows})
		if err != nil {
			return err
		}
		all = append(all, queue.Kept{Unit: p.Unit, Body: body})
	}
	var gone []string
	if before := decode(v.lease.Body); before != nil {
		for _, p := range before.Parts {
			if !now[p.Unit] {
				gone = append(gone, p.Unit)
			}
		}
	}
	if len(all)+len(gone) == 0 {
		return nil
	}
	return v.r.options.Queue.SaveParts(ctx, tx, v.lease, partPrint, all, gone)
}

// attachPart finds the part of an output that the unit is. It reports false when
// the need is no split step.
func (v *visit) attachPart(ctx context.Context, step string) (o *stored, isPart bool, err error) {
	from := v.r.options.Pipeline.Step(step)
	if from.Split == nil {
		return nil, false, nil
	}
	body, err := v.r.options.Queue.Output(ctx, queue.Key{Pipeline: v.lease.Pipeline, Step: step, Unit: v.lease.Unit}, partPrint)
	return decode(body), true, err
}

// cutSource returns the units of a file of the source: one, or those that it is
// cut into. of is the unit of the whole file, key its key. A file that cannot be
// cut is one unit, which will be dead.
func (r *Runner) cutSource(ctx context.Context, of queue.Offer, key string, file sourceFile) ([]queue.Offer, error) {
	c := r.options.Pipeline.Source.Cut()
	if c == nil {
		return []queue.Offer{of}, nil
	}
	spec := r.options.Pipeline.Source.Unit
	// Another content under an equal key is cut anew.
	dir := filepath.Join(r.work, "source", UnitID(r.options.Pipeline.Name, fmt.Sprintf("%s\x00%s\x00%d\x00%d", key, spec, file.Bytes, file.ModifiedNS)))
	parts, err := readManifest(dir)
	if err == nil {
		err = freshen(dir)
	}
	if err != nil {
		parts, err = r.cut(dir, func(to string) ([]cut.Part, error) {
			return cut.File(ctx, file.Path, "", cut.By{Kind: cut.Kind(c.Kind), Rows: c.Rows, Column: c.Column, Span: c.Span}, to)
		})
	}
	if now, statErr := statSource(file.Path); err == nil && (statErr != nil || now.text() != file.text()) {
		err = errors.Join(errors.New("it changed while it was read; run again when it is complete"), os.RemoveAll(dir))
	}
	why := badData(err)
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) && pe.Path == file.Path {
		why = err.Error()
	}
	if why != "" {
		file.Problem = "it cannot be cut by " + spec + ": " + why
		of.Input = file.text()
		return []queue.Offer{of}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cut %s: %w", of.Source, err)
	}
	all := make([]queue.Offer, len(parts))
	for i, p := range parts {
		one, err := statSource(p.Path)
		if err != nil {
			return nil, fmt.Errorf("cut %s: %w", of.Source, err)
		}
		all[i] = r.offer(UnitID(r.options.Pipeline.Name, key+"\x00"+spec+"\x00"+p.Name), partSource(of.Source, p.Name), one.text())
		if r.trace == "" {
			all[i].Correlation = of.Correlation // the whole file's
		}
	}
	return all, nil
}

// readManifest reads which parts a folder has. The error says that it is not
// complete.
func readManifest(dir string) ([]cut.Part, error) {
	data, err := os.ReadFile(filepath.Join(dir, manifest))
	if err != nil {
		return nil, err
	}
	var parts []cut.Part
	if err := json.Unmarshal(data, &parts); err != nil {
		return nil, err
	}
	for i := range parts {
		parts[i].Path = filepath.Join(dir, filepath.Base(parts[i].Path)) // the folder may have moved
		if info, err := os.Stat(parts[i].Path); err != nil || info.Size() != parts[i].Bytes {
			return nil, fmt.Errorf("%s is not what it was", parts[i].Path)
		}
	}
	return parts, nil
}
