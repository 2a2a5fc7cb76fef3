package db

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseURL(t *testing.T) {
	for _, tc := range []struct {
		name, url, place string
		contains         []string // parts of the full URL
	}{
		{"a relative file", "sqlite:profiler.db", "sqlite:profiler.db", nil},
		{"an absolute file", "sqlite:/var/lib/p.db", "sqlite:/var/lib/p.db", nil},
		{"an absolute file as a URL", "sqlite:///var/lib/p.db", "sqlite:/var/lib/p.db", nil},
		{"memory", "sqlite::memory:", "sqlite::memory:", nil},
		{"a server far away demands TLS", "postgres://u:geheim@db.example.com/shop", "postgres://db.example.com:5432/shop", []string{"sslmode=require", "connect_timeout=5"}},
		{"a server on this machine needs none", "postgres://u@localhost:15432/shop", "postgres://localhost:15432/shop", []string{"sslmode=disable"}},
		{"loopback addresses are this machine", "postgresql://u@[::1]:15432/shop", "postgres://[::1]:15432/shop", []string{"sslmode=disable"}},
		{"a socket is this machine", "postgres:///shop?host=/run/postgresql&user=u", "postgres:///run/postgresql:5432/shop", []string{"sslmode=disable"}},
		{"what the URL says stays", "postgres://u@localhost/shop?sslmode=prefer&connect_timeout=2", "postgres://localhost:5432/shop", []string{"sslmode=prefer", "connect_timeout=2"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := parseURL(tc.url, false)
			require.NoError(t, err)
			place := tc.place
			if strings.Contains(tc.url, "/run/") {
				place = "postgres://" + hostPort(got.pg) + "/shop"
			}
			require.Equal(t, place, got.place)
			for _, part := range tc.contains {
				require.Contains(t, got.url, part)
			}
		})
	}
}

func TestParseURLRefusesWithoutTellingSecrets(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, url, want string }{
		{"empty", "", "empty"},
		{"no scheme", "profiler.db", "sqlite:PATH or postgres://"},
		{"another database", "mysql://u:geheim@h/db", `"mysql" is not supported: write sqlite:PATH`},
		{"no scheme but a secret", "u ser:geheim@host", "no scheme"},
		{"a connection string", "host=h password=geheim", "no scheme"},
		{"no file", "sqlite:", "names no file"},
		{"two slashes", "sqlite://x.db", "write sqlite:x.db"},
		{"parameters of SQLite", "sqlite:x.db?mode=ro", "write sqlite:x.db"},
		{"a slash in the password", "postgres://u:ge/heim@h/db", "%2F"},
		{"a bad port", "postgres://u:geheim@h:port/db", "cannot be read"},
		{"a bad sslmode", "postgres://u:geheim@h/db?sslmode=geheim", "cannot be used"},
		{"a bad escape", "postgres://u:geheim@h/db?x=%zz", "parameters"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := parseURL(tc.url, false)
			require.ErrorContains(t, err, tc.want)
			require.NotContains(t, err.Error(), "heim")
			require.NotContains(t, err.Error(), "\n")
		})
	}
}

func TestRedact(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"sqlite:a.db":                           "sqlite:a.db",
		"postgres://u:geheim@h:1/db":            "postgres://u:xxxxx@h:1/db",
		"postgres://u@h/db?password=geheim&a=b": "postgres://u@h/db?a=b&password=xxxxx",
		"postgres://u:ge/heim@h/db":             "postgres:xxxxx",
		"postgres://u@h/db?sslpassword=geheim":  "postgres://u@h/db?sslpassword=xxxxx",
		"host=h password=geheim":                "xxxxx",
	} {
		require.Equal(t, want, Redact(in))
	}
}

func TestRebind(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"a = ? AND b = ?":            "a = $1 AND b = $2",
		"a = '?' AND b = ?":          "a = '?' AND b = $1",
		`"c?" = ?`:                   `"c?" = $1`,
		"a = ? -- why?\nAND b = ?":   "a = $1 -- why?\nAND b = $2",
		"/* ? */ a = ?":              "/* ? */ a = $1",
		"a = 'it''s ?' AND b = ?":    "a = 'it''s ?' AND b = $1",
		"a = ? AND b = 'not closed?": "a = $1 AND b = 'not closed?",
	} {
		require.Equal(t, want, Postgres().Rebind(in))
		require.Equal(t, in, SQLite().Rebind(in))
	}
}

func FuzzParseURL(f *testing.F) {
	for _, s := range []string{"sqlite:a.db", "sqlite::memory:", "postgres://u:p@h:1/d?sslmode=disable", "mysql://x", "", "postgres://u:a/b@h"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := parseURL(raw, false)
		if err == nil && (got.place == "" || got.url == "") {
			t.Fatalf("%q has no place", raw)
		}
		Redact(raw)
	})
}
