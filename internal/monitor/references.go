package monitor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/checks"
	"github.com/profilerhq/profiler/internal/profile"
	"github.com/profilerhq/profiler/internal/source"
)

// known reads the columns of other sources that the checks refer to, each once.
// What cannot be read is told to the checks, which then end in error.
func known(ctx context.Context, refs []checks.Reference) map[checks.Reference]*checks.Known {
	out := map[checks.Reference]*checks.Known{}
	for _, ref := range refs {
		k := &checks.Known{}
		if err := readKnown(ctx, ref, k); err != nil {
			k.Err = fmt.Sprintf("the values of %s could not be read: %s", ref.Column, err)
		}
		out[ref] = k
	}
	return out
}

func readKnown(ctx context.Context, ref checks.Reference, k *checks.Known) (err error) {
	inputs, err := source.Expand([]string{ref.Source}, false)
	if err != nil {
		return err
	}
	r, err := source.Open(ctx, inputs[0], source.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	b := profile.NewBuilder()
	var c, one batch.Chunk
	column := []batch.Column{{Name: ref.Column}}
	for {
		err := r.Next(ctx, &c)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		i := indexOf(r.Columns(), ref.Column)
		if i < 0 {
			continue // it may still come up
		}
		column[0] = r.Columns()[i]
		v, err := c.Fill(i)
		if err != nil {
			return err
		}
		one.Vectors, one.Rows, one.First = c.Vectors[i:i+1], c.Rows, c.First
		one.Filled()
		if err := b.Add(column, &one); err != nil {
			return err
		}
		if !k.Add(v) {
			return nil
		}
	}
	if indexOf(r.Columns(), ref.Column) < 0 {
		return fmt.Errorf("%s has no column %q", ref.Source, ref.Column)
	}
	col := b.Finish(column, profile.Info{}).Column(ref.Column)
	k.Finish(col.Kind())
	return nil
}

func indexOf(columns []batch.Column, name string) int {
	return slices.IndexFunc(columns, func(c batch.Column) bool { return c.Name == name })
}
