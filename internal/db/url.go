package db

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/lib/pq"
)

// connectTimeout bounds how long a connection to Postgres may take when
// neither the URL nor PGCONNECT_TIMEOUT says otherwise, in seconds.
const connectTimeout = 5

const urlForms = "write sqlite:PATH or postgres://user@host:5432/database"

// target is a parsed store URL.
type target struct {
	dialect Dialect
	place   string // for messages: no user, no password
	url     string // with the parameters we add, and the password

	path   string // SQLite: the file as given
	memory bool   // SQLite: no file

	pg pq.Config // Postgres
}

var schemeForm = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9+.-]*$`)

// parseURL never puts the URL itself into an error: it may hold a password.
func parseURL(raw string, readOnly bool) (*target, error) {
	scheme, rest, found := strings.Cut(raw, ":")
	switch {
	case raw == "":
		return nil, errors.New("the store URL is empty: " + urlForms)
	case !found:
		return nil, errors.New("the store URL has no scheme: " + urlForms)
	case scheme == "sqlite":
		return parseSQLite(rest)
	case scheme == "postgres" || scheme == "postgresql":
		return parsePostgres(raw, readOnly)
	case !schemeForm.MatchString(scheme):
		return nil, errors.New("the store URL has no scheme: " + urlForms)
	}
	return nil, fmt.Errorf("the store scheme %q is not supported: %s", scheme, urlForms)
}

func parseSQLite(path string) (*target, error) {
	t := &target{dialect: SQLite()}
	if abs, ok := strings.CutPrefix(path, "//"); ok {
		if !strings.HasPrefix(abs, "/") {
			return nil, fmt.Errorf("the store URL sqlite:%s has two slashes: write sqlite:%s for a relative path or sqlite:/%s for an absolute one", path, abs, abs)
		}
		path = abs
	}
	file, _, params := strings.Cut(path, "?")
	switch {
	case path == "":
		return nil, errors.New("the store URL sqlite: names no file: write sqlite:profiler.db")
	case params:
		return nil, fmt.Errorf("the store URL sqlite:%s has parameters, and SQLite takes none here: write sqlite:%s", path, file)
	case strings.ContainsRune(path, 0):
		return nil, errors.New("the store URL has a NUL character in its path")
	}
	t.path, t.memory = path, path == ":memory:"
	t.place, t.url = "sqlite:"+path, "sqlite:"+path
	return t, nil
}

func parsePostgres(raw string, readOnly bool) (*target, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Opaque != "" {
		return nil, errors.New("the Postgres URL cannot be read: write postgres://user:password@host:5432/database, with @ : / ? # % in the password as %40 %3A %2F %3F %23 %25")
	}
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, errors.New("the parameters of the Postgres URL cannot be read: write them as name=value, joined by &")
	}
	setDefault := func(key, env, value string) {
		if !q.Has(key) && (env == "" || os.Getenv(env) == "") {
			q.Set(key, value)
		}
	}
	setDefault("connect_timeout", "PGCONNECT_TIMEOUT", strconv.Itoa(connectTimeout))
	setDefault("fallback_application_name", "", "profiler")
	if readOnly {
		q.Set("default_transaction_read_only", "on")
	}
	if !q.Has("sslmode") && os.Getenv("PGSSLMODE") == "" && !q.Has("service") {
		// The first parse tells which hosts are meant, environment included.
		u.RawQuery = q.Encode()
		cfg, err := pgConfig(u)
		if err != nil {
			return nil, err
		}
		q.Set("sslmode", sslMode(cfg))
	}
	u.RawQuery = q.Encode()
	cfg, err := pgConfig(u)
	if err != nil {
		return nil, err
	}
	place := "postgres://" + hostPort(cfg) + "/" + url.PathEscape(cfg.Database)
	return &target{dialect: Postgres(), place: place, url: u.String(), pg: cfg}, nil
}

func pgConfig(u *url.URL) (pq.Config, error) {
	cfg, err := pq.NewConfig(u.String())
	if err == nil {
		return cfg, nil
	}
	msg := strings.TrimPrefix(err.Error(), "pq: ")
	if ue := (*url.Error)(nil); errors.As(err, &ue) {
		msg = "it is not of the form postgres://user:password@host:5432/database"
	}
	return pq.Config{}, errors.New("the Postgres URL cannot be used: " + hide(msg, u))
}

// hide removes the passwords of u from a text.
func hide(msg string, u *url.URL) string {
	p, _ := u.User.Password()
	for _, s := range []string{p, u.Query().Get("password"), u.Query().Get("sslpassword")} {
		if s != "" {
			msg = strings.ReplaceAll(msg, s, "xxxxx")
		}
	}
	return msg
}

// sslMode returns the mode for a URL that names none: no TLS on this machine,
// TLS anywhere else.
func sslMode(cfg pq.Config) string {
	for _, h := range hosts(cfg) {
		if !isLocal(h) {
			return string(pq.SSLModeRequire)
		}
	}
	return string(pq.SSLModeDisable)
}

func hosts(cfg pq.Config) []string {
	first := cfg.Host
	if cfg.Hostaddr.IsValid() {
		first = cfg.Hostaddr.String()
	}
	all := []string{first}
	for _, m := range cfg.Multi {
		if m.Hostaddr.IsValid() {
			all = append(all, m.Hostaddr.String())
		} else {
			all = append(all, m.Host)
		}
	}
	return all
}

func isLocal(host string) bool {
	if host == "" || host == "localhost" || strings.HasPrefix(host, "/") || strings.HasPrefix(host, "@") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// hostPort returns host and port of the first server.
func hostPort(cfg pq.Config) string {
	return net.JoinHostPort(hosts(cfg)[0], strconv.Itoa(int(cfg.Port)))
}

// Redact returns the store URL without its password, for output. What cannot
// be read as a URL is returned as its scheme alone.
func Redact(raw string) string {
	scheme, _, found := strings.Cut(raw, ":")
	if scheme == "sqlite" {
		return raw
	}
	u, err := url.Parse(raw)
	if !found || err != nil || u.Opaque != "" {
		if found && schemeForm.MatchString(scheme) {
			return scheme + ":xxxxx"
		}
		return "xxxxx"
	}
	q := u.Query()
	for k := range q {
		if strings.Contains(strings.ToLower(k), "pass") {
			q.Set(k, "xxxxx")
		}
	}
	u.RawQuery = q.Encode()
	return u.Redacted()
}
