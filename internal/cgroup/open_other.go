//go:build unix && !linux

package cgroup

import "errors"

// Open fails: only Linux has control groups.
func Open() (*Tree, error) { return nil, errors.New("this system has no control groups") }
