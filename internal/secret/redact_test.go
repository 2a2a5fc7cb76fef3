package secret

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRedact(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, want string }{
		{"", ""},
		{"line 2 is broken: 42 != 43", "line 2 is broken: 42 != 43"},
		{"http://127.0.0.1:8080/enrich answered 500 Internal Server Error", "http://127.0.0.1:8080/enrich answered 500 Internal Server Error"},
		{"open postgres://ann:hunter2@db:5432/dw: refused", "open postgres://ann:<secret>@db:5432/dw: refused"},
		{"postgres://ann:p:w@db/dw?sslmode=disable", "postgres://ann:<secret>@db/dw?<secret>"},
		{"https://fn.example/run?code=abc123&x=1 answered 403", "https://fn.example/run?<secret> answered 403"},
		{`Post "https://fn.example/run?code=abc": EOF`, `Post "https://fn.example/run?<secret>": EOF`},
		{"Authorization: Bearer eyJhbGciOi.J9", "Authorization: Bearer <secret>"},
		{"password=hunter2, user=ann", "password=<secret>, user=ann"},
		{`{"api_key": "k 123", "n": 1}`, `{"api_key": <secret>, "n": 1}`},
		{"AWS_SECRET_ACCESS_KEY=wJalr+/x is wrong", "AWS_SECRET_ACCESS_KEY=<secret> is wrong"},
		{"DB_TOKEN: 'a b'", "DB_TOKEN: <secret>"},
		{"the token is missing", "the token is missing"},
		{"is there a file? yes", "is there a file? yes"},
	} {
		require.Equal(t, c.want, Redact(c.text), c.text)
	}
}
