package api

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/profilerhq/profiler/internal/dbtest"
	"github.com/profilerhq/profiler/internal/store"
)

func TestEmptyStore(t *testing.T) {
	t.Parallel()
	st, err := store.Open(t.Context(), dbtest.SQLite(t), store.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	s, err := New(Options{History: st})
	require.NoError(t, err)
	for path, status := range map[string]int{"/": 200, "/-/healthy": 200, "/api/v1/datasets": 200, "/x": 404, "/api/v1/datasets/a/b": 404, "/datasets/a/b": 404} {
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		require.Equal(t, status, w.Code, "%s: %s", path, w.Body)
	}
}
