//go:build !linux

package tap

import (
	"errors"
	"os"
)

// openNameless fails: only Linux has files without a name.
func openNameless(string) (*os.File, error) { return nil, errors.ErrUnsupported }

func linkNameless(*os.File, string) error { return errors.ErrUnsupported }
