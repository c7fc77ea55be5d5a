//go:build !unix

package local

// peakRSS is the process's largest resident set, in bytes, or 0 if unknown.
func peakRSS() int64 { return 0 }
