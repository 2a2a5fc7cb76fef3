//go:build !unix

package bench

import "os"

// peakRSS is 0: the system does not tell.
func peakRSS(*os.ProcessState) float64 { return 0 }
