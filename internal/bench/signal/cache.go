package signal

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/profilerhq/profiler/internal/profile"
)

// cache keeps profiles in a folder, by what was profiled: runs that change the
// detector alone profile nothing. The zero value keeps nothing. It does not see
// that the profiler itself changed; another folder does.
type cache struct {
	dir, version string
}

// profile profiles a table, or reads what an earlier run kept of an equal one.
func (c cache) profile(ctx context.Context, dataset string, at time.Time, t *table) (*profile.Profile, error) {
	text := t.csv()
	if c.dir == "" {
		return profileText(ctx, dataset, at, text)
	}
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%s\n%s\n%d\n", c.version, dataset, at.UnixMicro()) // never fails
	_, _ = h.Write(text)
	name := hex.EncodeToString(h.Sum(nil)[:16])
	file := filepath.Join(c.dir, name[:2], name+".profile")
	if data, err := os.ReadFile(file); err == nil {
		if p, err := profile.Decode(data); err == nil {
			return p, nil
		}
	}
	p, err := profileText(ctx, dataset, at, text)
	if err != nil {
		return nil, err
	}
	data, err := p.Encode()
	if err != nil {
		return nil, err
	}
	// Whether kept or not, the figures have to be equal.
	if p, err = profile.Decode(data); err != nil {
		return nil, fmt.Errorf("profile %s: %w", dataset, err)
	}
	return p, keepFile(file, data)
}

// keepFile writes a file that is there wholly or not at all.
func keepFile(file string, data []byte) error {
	dir := filepath.Dir(file)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("keep profiles: %w", err)
	}
	tmp, err := os.CreateTemp(dir, "new")
	if err != nil {
		return fmt.Errorf("keep profiles: %w", err)
	}
	_, err = tmp.Write(data)
	if e := tmp.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(tmp.Name(), file)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
		return fmt.Errorf("keep profiles: %w", err)
	}
	return nil
}
