package profile

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/batch"
	"github.com/profilerhq/profiler/internal/source/csv"
)

// ofCSV profiles a text as the product does.
func ofCSV(t testing.TB, text string) *Profile {
	t.Helper()
	r, err := csv.New(strings.NewReader(text), csv.Options{Source: "in.csv"})
	require.NoError(t, err)
	b := NewBuilder()
	var c batch.Chunk
	for {
		err := r.Next(t.Context(), &c)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		b.Add(r.Columns(), &c)
	}
	return b.Finish(r.Columns(), Info{Dataset: "default/in", Stats: r.Stats(), ProfiledAt: time.Unix(0, 0)})
}

func TestLook(t *testing.T) {
	p := ofCSV(t, "id,fare,zone,when,code,ok,mix\nA1,9.5,north,2026-01-02,007,true,1\nA2,3,,2026-01-03T10:00:00Z,012,false,x\nA3,,north,2026-01-04,100,true,\n")
	b, err := json.MarshalIndent(p.Summary(), "", " ")
	require.NoError(t, err)
	t.Log(string(b))
}
