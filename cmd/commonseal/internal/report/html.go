package report

import (
	"embed"
	"html/template"
	"io"
)

//go:embed page.html
var page embed.FS

// A Bar is one line of a plot, so many parts of the widest.
type Bar struct {
	Label  string
	Amount uint64
	Width  int // of 400
}

// WriteHTML writes the page. It loads nothing from anywhere.
func (r *Report) WriteHTML(w io.Writer) error {
	t, err := template.New("page.html").Funcs(template.FuncMap{"rows": r.rowBars, "earned": r.earnedBars, "releases": r.releaseBars,
		"add": func(a, b int) int { return a + b }, "mul": func(a, b int) int { return a * b }}).ParseFS(page, "page.html")
	if err != nil {
		return err
	}
	return t.Execute(w, r)
}

func (r *Report) rowBars() (out []Bar) {
	for _, c := range r.Contributions {
		out = append(out, Bar{Label: c.Company + ", " + c.Task, Amount: uint64(c.Rows)})
	}
	return widths(out)
}

func (r *Report) earnedBars() (out []Bar) {
	for _, e := range r.Earned {
		out = append(out, Bar{Label: e.Member, Amount: e.Total})
	}
	return widths(out)
}

// releaseBars are against what is allowed, not against one another.
func (r *Report) releaseBars() (out []Bar) {
	for _, x := range r.Releases {
		out = append(out, Bar{Label: "key epoch", Amount: uint64(x.Opened), Width: int(400 * uint64(x.Opened) / max(1, uint64(x.Allowed)))})
	}
	return out
}

func widths(bars []Bar) []Bar {
	var most uint64 = 1
	for _, b := range bars {
		most = max(most, b.Amount)
	}
	for i := range bars {
		bars[i].Width = int(float64(bars[i].Amount) / float64(most) * 400)
	}
	return bars
}
