package profile

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/batch"
)

// listRow is a row with a list a of objects with b, c or both; nil is no list.
type listRow []map[string]int64

// addLists profiles rows in chunks of at most size rows. The columns of elements
// come up with the first element that has them.
func addLists(t *testing.T, b *Builder, rows []listRow, size int) []batch.Column {
	t.Helper()
	columns := []batch.Column{{Name: "a"}}
	first := int64(1)
	for len(rows) > 0 {
		n := min(size, len(rows))
		for _, r := range rows[:n] {
			for _, e := range r {
				for _, name := range []string{"b", "c"} {
					known := false
					for _, c := range columns {
						known = known || c.Name == "a[]."+name
					}
					if _, has := e[name]; has && !known {
						columns = append(columns, batch.Column{Name: "a[]." + name, List: "a[]"})
					}
				}
			}
		}
		c := &batch.Chunk{Vectors: make([]batch.Vector, len(columns)), Rows: n, First: first}
		for i := range columns {
			v := &c.Vectors[i]
			if i > 0 {
				v.Rows = []int32{}
			}
			for row, r := range rows[:n] {
				if i == 0 && r == nil {
					v.AppendNull()
				} else if i == 0 {
					v.Append(batch.Value{Type: batch.List, Int: int64(len(r))}, nil)
				}
				for _, e := range r {
					if i == 0 {
						break
					}
					v.Rows = append(v.Rows, int32(row))
					if x, ok := e[columns[i].Name[4:]]; ok {
						v.Append(batch.Value{Type: batch.Integer, Int: x}, nil)
					} else {
						v.AppendNull()
					}
				}
			}
		}
		c.Filled()
		require.NoError(t, b.Add(columns, c))
		rows, first = rows[n:], first+int64(n)
	}
	return columns
}

func randomLists(rng *rand.Rand, n int) []listRow {
	rows := make([]listRow, n)
	for i := range rows {
		if rng.IntN(4) == 0 {
			continue
		}
		rows[i] = listRow{}
		for range rng.IntN(4) {
			e := map[string]int64{[]string{"b", "c"}[rng.IntN(2)]: int64(rng.IntN(3))}
			if rng.IntN(3) == 0 {
				e["b"] = int64(rng.IntN(3))
			}
			rows[i] = append(rows[i], e)
		}
	}
	return rows
}

// TestElementsAreCounted compares columns of elements with a count by hand, in
// chunks of any size, as parts that are merged and through the binary form.
func TestElementsAreCounted(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 1))
		rows := randomLists(rng, 1+rng.IntN(30))
		build := func(rows []listRow) *Profile {
			b := NewBuilder()
			return b.Finish(addLists(t, b, rows, 1+rng.IntN(5)), Info{})
		}
		whole := build(rows)
		cut := rng.IntN(len(rows) + 1)
		merged, err := Merged(build(rows[:cut]), build(rows[cut:]))
		require.NoError(t, err)
		data, err := whole.Encode()
		require.NoError(t, err)
		decoded, err := Decode(data)
		require.NoError(t, err)

		elements, values, seen := int64(0), map[string]int64{}, map[string]bool{}
		duplicates := int64(0)
		for _, r := range rows {
			elements += int64(len(r))
			for _, e := range r {
				for name := range e {
					values["a[]."+name]++
				}
			}
			if key := fmt.Sprint(r == nil, r); seen[key] {
				duplicates++
			} else {
				seen[key] = true
			}
		}
		for name, p := range map[string]*Profile{"whole": whole, "merged": merged, "decoded": decoded} {
			s := p.Summary()
			require.Equal(t, int64(len(rows)), s.Rows, name)
			require.Equal(t, duplicates, s.Duplicates.Value, "%s of seed %d", name, seed)
			for column, n := range values {
				c := s.Column(column)
				require.NotNil(t, c, "%s of %s, seed %d", column, name, seed)
				require.Equal(t, n, c.Count, "%s of %s, seed %d", column, name, seed)
				require.Equal(t, elements-n, c.Nulls, "%s of %s, seed %d", column, name, seed)
			}
		}
	}
}

// TestElementsAndRowsDoNotMerge is of a column that is of rows in one profile.
func TestElementsAndRowsDoNotMerge(t *testing.T) {
	t.Parallel()
	of := func(list string) *Profile {
		return NewBuilder().Finish([]batch.Column{{Name: "a[]", List: list}}, Info{})
	}
	_, err := Merged(of("a[]"), of(""))
	require.ErrorIs(t, err, ErrMismatch)
	require.ErrorContains(t, err, "column a[] holds elements of lists in one of them and values of rows in the other")
}
