package chain

import (
	"context"
	"log/slog"

	cmtlog "github.com/cometbft/cometbft/libs/log"
)

// logger passes CometBFT's log on. Its Info is a line for every step of every
// round: Debug here.
type logger struct{ to *slog.Logger }

var _ cmtlog.Logger = logger{}

// Debug drops: at that level CometBFT prints every message of every peer.
func (logger) Debug(string, ...any) {}

func (l logger) Info(msg string, keyvals ...any)  { l.to.Debug(msg, keyvals...) }
func (l logger) Warn(msg string, keyvals ...any)  { l.to.Info(msg, keyvals...) }
func (l logger) Error(msg string, keyvals ...any) { l.to.Warn(msg, keyvals...) }

func (l logger) With(keyvals ...any) cmtlog.Logger {
	if !l.to.Enabled(context.Background(), slog.LevelWarn) {
		return l
	}
	return logger{l.to.With(keyvals...)}
}
