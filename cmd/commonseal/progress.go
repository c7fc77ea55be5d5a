package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/cwriter"
	"github.com/vbauerster/mpb/v8/decor"
)

// progress shows stages one after the other: as bars with the time left on a
// terminal, as occasional lines elsewhere, and not at all for a program that
// reads JSON. It uses no colour. One goroutine uses it.
type progress struct {
	w     io.Writer // nil: show nothing
	now   func() time.Time
	bars  *mpb.Progress // nil: lines
	bar   *mpb.Bar
	name  string
	pace  *pace
	wrote time.Time // last line
}

// lineEvery is how often a running stage writes a line where there are no bars.
const lineEvery = 5 * time.Second

// newProgress writes to w, a terminal or not; the caller closes it.
func newProgress(w io.Writer, json bool) *progress {
	p := &progress{w: w, now: time.Now}
	switch {
	case isTerminal(w):
		p.bars = mpb.New(mpb.WithOutput(w), mpb.WithWidth(72))
	case json:
		p.w = nil
	}
	return p
}

// isTerminal is whether bars can be drawn: a terminal with a width.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" || !cwriter.IsTerminal(int(f.Fd())) {
		return false
	}
	width, _, err := cwriter.GetSize(int(f.Fd()))
	return err == nil && width > 0
}

// stage says how far the named stage is: done of total. A new name ends the
// stage before it.
func (p *progress) stage(name string, done, total int) {
	if p.w == nil {
		return
	}
	begins := p.pace == nil || name != p.name
	if begins {
		p.endBar()
		p.name, p.pace = name, &pace{began: p.now()}
	}
	now := p.now()
	p.pace.set(now, done, total)
	if p.bars == nil {
		if begins || done >= total || now.Sub(p.wrote) >= lineEvery {
			p.wrote = now
			fmt.Fprintln(p.w, p.line(now, done, total))
		}
		return
	}
	if begins {
		p.bar = p.newBar(total)
	}
	p.bar.SetCurrent(int64(done))
}

// note tells a line of its own, before the first stage.
func (p *progress) note(text string) {
	if p.w != nil {
		fmt.Fprintln(p.w, text)
	}
}

func (p *progress) line(now time.Time, done, total int) string {
	text := fmt.Sprintf("%s %d/%d", p.name, done, total)
	if done >= total {
		return text + " in " + p.pace.took()
	}
	if left := p.pace.left(now); left != "" {
		return text + ", " + left
	}
	return text
}

func (p *progress) newBar(total int) *mpb.Bar {
	pace, now := p.pace, p.now
	return p.bars.AddBar(int64(total),
		mpb.PrependDecorators(
			decor.Name(p.name, decor.WC{W: 16, C: decor.DindentRight}),
			decor.CountersNoUnit("%d/%d", decor.WC{W: 10, C: decor.DindentRight})),
		mpb.AppendDecorators(decor.Any(func(s decor.Statistics) string {
			if s.Completed {
				return pace.took()
			}
			return pace.left(now())
		})))
}

// endBar leaves the bar of a stage as it is; one that is complete shows it.
func (p *progress) endBar() {
	if p.bar != nil {
		p.bar.Abort(false)
		p.bar = nil
	}
}

// close leaves the screen to others.
func (p *progress) close() {
	p.w = nil
	if p.bars != nil {
		p.endBar()
		p.bars.Wait()
	}
}

// A pace is how fast a stage advances. The bars read it while they redraw.
type pace struct {
	began time.Time

	mu          sync.Mutex // guards the rest
	last        time.Time  // when done was reached
	done, total int
}

func (p *pace) set(now time.Time, done, total int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last, p.done, p.total = now, done, total
}

// took is the time from the beginning to the last item.
func (p *pace) took() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last.Sub(p.began).Round(100 * time.Millisecond).String()
}

// left says how long the stage will take from now on, at its pace so far; ""
// before its first item is done.
func (p *pace) left(now time.Time) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done <= 0 {
		return ""
	}
	each := p.last.Sub(p.began) / time.Duration(p.done)
	left := each*time.Duration(p.total-p.done) - now.Sub(p.last)
	return fmt.Sprintf("about %v left", max(0, left).Round(time.Second))
}
