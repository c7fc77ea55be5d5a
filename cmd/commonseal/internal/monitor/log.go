package monitor

import (
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"

	"github.com/commonseal/commonseal/ledger"
)

// NewLog writes to w, as text for people or as one JSON object a line.
//
// Of a value that does not say itself how it is told there is only its type: a
// struct of somebody else's, told field by field, may have a private key in it.
func NewLog(w io.Writer, asJSON bool, level slog.Level) *slog.Logger {
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: tellable}
	if asJSON {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

func tellable(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() != slog.KindAny {
		return a
	}
	switch v := a.Value.Any().(type) {
	case error, fmt.Stringer, fmt.Formatter:
		a.Value = slog.StringValue(fmt.Sprint(v)) // which survives a nil pointer
	case []string, nil:
	default:
		a.Value = slog.StringValue(fmt.Sprintf("[%T]", v))
	}
	return a
}

// Trace is log for one job. The trace is the job's own name on the ledger, so
// that the lines of every process about one job have it, and nobody sends it.
func Trace(log *slog.Logger, job ledger.Digest) *slog.Logger {
	return log.With("trace", hex.EncodeToString(job[:8]))
}
