package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/vbauerster/mpb/v8"
)

// Without a terminal: a line when a stage begins and ends, and one every five
// seconds between, with the time left.
func TestProgressLines(t *testing.T) {
	var out bytes.Buffer
	clock := time.Unix(0, 0)
	p := newProgress(&out, false)
	p.now = func() time.Time { return clock }
	for _, call := range []struct {
		after       time.Duration
		name        string
		done, total int
	}{
		{0, "keys", 0, 2},
		{time.Second, "keys", 1, 2}, // too soon for a line
		{time.Second, "keys", 2, 2},
		{0, "train", 0, 20},
		{3 * time.Second, "train", 1, 20}, // too soon
		{3 * time.Second, "train", 2, 20},
		{54 * time.Second, "train", 20, 20},
		{time.Second, "serve", 5, 5},
	} {
		clock = clock.Add(call.after)
		p.stage(call.name, call.done, call.total)
	}
	p.close()
	p.stage("late", 0, 1)
	want := "keys 0/2\nkeys 2/2 in 2s\ntrain 0/20\ntrain 2/20, about 54s left\ntrain 20/20 in 1m0s\nserve 5/5 in 0s\n"
	if out.String() != want {
		t.Errorf("lines\n%swant\n%s", &out, want)
	}
}

func TestProgressIsSilentForPrograms(t *testing.T) {
	var out bytes.Buffer
	p := newProgress(&out, true)
	p.stage("train", 0, 2)
	p.stage("train", 2, 2)
	p.close()
	if out.Len() > 0 {
		t.Errorf("wrote %q", &out)
	}
}

// The time left counts down between items and never below nothing.
func TestPaceCountsDown(t *testing.T) {
	start := time.Unix(0, 0)
	p := &pace{began: start}
	if got := p.left(start); got != "" {
		t.Errorf("before the first item: %q", got)
	}
	p.set(start.Add(10*time.Second), 1, 4)
	for after, want := range map[time.Duration]string{
		10 * time.Second: "about 30s left",
		15 * time.Second: "about 25s left",
		90 * time.Second: "about 0s left",
	} {
		if got := p.left(start.Add(after)); got != want {
			t.Errorf("after %v: %q, want %q", after, got, want)
		}
	}
}

// Bars end with close, whether their stage did or not.
func TestProgressBars(t *testing.T) {
	var out bytes.Buffer
	p := newProgress(&out, false)
	p.bars = mpb.New(mpb.WithOutput(&out), mpb.WithAutoRefresh(), mpb.WithWidth(72))
	p.stage("keys", 0, 2)
	p.stage("keys", 2, 2)
	p.stage("train", 1, 20)
	p.stage("empty", 0, 0)
	p.stage("serve", 3, 5)
	p.close()
	p.close()
	for _, want := range []string{"keys", "2/2", "train", "1/20", "serve", "3/5", "left"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in %q", want, out.String())
		}
	}
}
