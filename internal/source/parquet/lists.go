package parquet

import (
	"errors"
	"fmt"
	"io"

	"github.com/profilerhq/profiler/internal/batch"
)

// elementLimit is how many elements the lists of a chunk may have, times the
// columns that they have. A chunk has few rows where lists are long.
const elementLimit = 1 << 23

// eachLevel calls f with the levels of the pages of n rows, page by page: with
// the repetition and definition levels of the rows in the page and the index of
// the row before them, -1 at first. A row begins at repetition level 0; it may go
// on in the next page.
func (g *group) eachLevel(f *field, cur *cursor, n int, each func(rep, def []byte, row int) error) error {
	row := -1
	for {
		for len(cur.rep) == 0 {
			if len(cur.offsets) == 0 && row == n-1 {
				return nil
			}
			if err := cur.nextPage(f); err != nil {
				return g.pageError(f, cur, err)
			}
		}
		if row < 0 && cur.rep[0] != 0 {
			return g.r.damagedColumn(f, g.index, cur.offset, "a page begins inside a row", nil)
		}
		k, before := 0, row
		for ; k < len(cur.rep); k++ {
			if cur.rep[k] == 0 {
				if row == n-1 {
					break
				}
				row++
			}
		}
		rep, def := cur.rep[:k], cur.def[:k]
		more := k < len(cur.rep)
		cur.rep, cur.def = cur.rep[k:], cur.def[k:]
		if err := each(rep, def, before); err != nil {
			return g.r.damagedColumn(f, g.index, cur.offset, "a page cannot be decoded: "+err.Error(), nil)
		}
		if more {
			return nil
		}
	}
}

var errElements = fmt.Errorf("its lists have more than %d elements in a few rows, times their columns", elementLimit)

// fillElements appends the elements of the next n rows. There is one at each
// place where the definition level reaches the element of the innermost list.
func (g *group) fillElements(f *field, cur *cursor, v *batch.Vector, s *span) error {
	v.Rows = []int32{}
	return g.eachLevel(f, cur, s.rows, func(rep, def []byte, row int) error {
		cur.present = cur.present[:0]
		for k, d := range def {
			if rep[k] == 0 {
				row++
			}
			if int(d) >= f.itemDef {
				cur.present = append(cur.present, d)
				v.Rows = append(v.Rows, int32(row)) //nolint:gosec // a chunk has a few thousand rows
			}
		}
		if s.elements.Add(int64(len(cur.present))) > elementLimit {
			return errElements
		}
		return guard(func() error { return cur.takeElements(f, v, len(def)) })
	})
}

// takeElements appends the elements whose levels are in c.present, of n places
// of the page.
func (c *cursor) takeElements(f *field, v *batch.Vector, n int) error {
	if c.values == nil {
		return c.take(f, v, c.present, len(c.present))
	}
	to := v
	if v.Dict != nil { // the elements before have codes: these are new entries
		to = v.Dict
		for i := range c.present {
			v.Codes = append(v.Codes, uint32(to.Len()+i)) //nolint:gosec // within elementLimit
		}
	}
	for n > 0 {
		got, err := c.values.ReadValues(c.buf[:min(n, len(c.buf))])
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if got == 0 {
			return errFewer
		}
		kept := c.buf[:0]
		for _, x := range c.buf[:got] {
			if x.DefinitionLevel() >= f.itemDef {
				kept = append(kept, x)
			}
		}
		if err := c.convert.values(f, to, kept); err != nil {
			return err
		}
		n -= got
	}
	return nil
}

// fillList appends the number of elements of the lists of the next n rows: of
// one in each row, or of one in each element of the lists around. A list begins
// at a repetition level up to the number of those around, its elements one above;
// the definition level tells a null from an empty list.
func (g *group) fillList(f *field, cur *cursor, v *batch.Vector, s *span) error {
	if f.depth > 0 {
		v.Rows = []int32{}
	}
	open, isNull, items, at := false, false, int64(0), 0
	end := func() {
		switch {
		case !open:
			return
		case isNull:
			v.AppendNull()
		default:
			v.Append(batch.Value{Type: batch.List, Int: items}, nil)
		}
		if f.depth > 0 {
			v.Rows = append(v.Rows, int32(at)) //nolint:gosec // a chunk has a few thousand rows
		}
		open = false
	}
	n := s.rows
	err := g.eachLevel(f, cur, n, func(rep, def []byte, row int) error {
		for k, r := range rep {
			if r == 0 {
				row++
			}
			switch d := int(def[k]); {
			case int(r) <= f.depth:
				end()
				open, isNull, items, at = f.depth == 0 || d >= f.outerDef, d < f.listDef, 0, row
				if d >= f.itemDef {
					items = 1
				}
			case int(r) == f.depth+1:
				items++
			}
		}
		if f.depth > 0 && int64(v.Len())+s.elements.Load() > elementLimit {
			return errElements
		}
		return nil
	})
	if err != nil {
		return err
	}
	end()
	if f.depth > 0 {
		s.elements.Add(int64(v.Len()))
	}
	return nil
}
