package monitor

import (
	"encoding/hex"
	"io"
	"log/slog"

	"github.com/commonseal/commonseal/ledger"
)

// NewLog writes to w, as text for people or as one JSON object a line.
func NewLog(w io.Writer, asJSON bool, level slog.Level) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if asJSON {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// Trace is log for one job. The trace is the job's own name on the ledger, so
// that the lines of every process about one job have it, and nobody sends it.
func Trace(log *slog.Logger, job ledger.Digest) *slog.Logger {
	return log.With("trace", hex.EncodeToString(job[:8]))
}
