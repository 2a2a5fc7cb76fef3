//go:build !unix

package exact_test

import "time"

func cpu() time.Duration { return 0 }
