package checks

import (
	"bytes"

	"github.com/profilerhq/profiler/internal/batch"
)

// textOf returns the text of row i of a plain vector: the source text, or the
// canonical one of a typed value, which is written to buf. It is valid until
// the vector or buf changes.
func textOf(v *batch.Vector, i int, buf *[]byte) []byte {
	if v.HasText || v.Types[i] == batch.String || v.Types[i] == batch.Binary {
		return v.Bytes(i)
	}
	*buf = v.AppendText((*buf)[:0], i)
	return *buf
}

// isBlank reports whether a text is empty or white space only.
func isBlank(text []byte) bool { return len(bytes.TrimSpace(text)) == 0 }
