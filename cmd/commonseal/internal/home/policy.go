package home

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/commonseal/commonseal/ledger"
)

// A Policy is what the owner of an agent lets it take part in. An agent does
// nothing for a task that is not in it.
type Policy struct {
	Tasks []TaskPolicy `yaml:"tasks"`
	// Trust names nodes, one of which must be among those that recorded a step
	// before the agent gives its share of it. Empty means any.
	Trust []string `yaml:"trust"`
}

// A TaskPolicy is one prediction problem that an agent contributes to.
type TaskPolicy struct {
	Name  string `yaml:"name"`  // of the task
	Data  string `yaml:"data"`  // CSV with a header; below the home unless absolute
	Label string `yaml:"label"` // its column in the task's schema
	// Local keeps the rows at home: encrypted gradients leave, rows never do.
	Local    bool    `yaml:"local"`
	MaxSteps int     `yaml:"max_steps"` // of a job; 0: as the ledger allows
	MaxRate  float64 `yaml:"max_rate"`  // learning rate of a job; 0: any
	MaxDecay float64 `yaml:"max_decay"` // its strength of regularisation; 0: any
	// Columns are those that a job may train, derived ones by their expressions;
	// none: any of the task's.
	Columns    []string `yaml:"columns,omitempty"`
	MinColumns int      `yaml:"min_columns"` // that a job trains; 0: one
	MaxJobs    int      `yaml:"max_jobs"`    // that the agent ever answers for; 0: any number
	// Validation is the fraction of rows that are set aside and never train.
	Validation float64 `yaml:"validation"`
	// Abstain keeps the agent from judging the task's models on those rows, which it
	// does where that is paid for.
	Abstain bool `yaml:"abstain,omitempty"`
}

// PolicyExample is a policy.yaml with every field.
const PolicyExample = `# What this agent takes part in. It does nothing for a task that is not here.
tasks:
  - name: churn            # as it was opened on the ledger
    data: rows.csv         # numeric CSV with a header, below this folder
    label: churned         # the column to predict, as in the task's schema
    local: false           # true: rows stay here, encrypted gradients leave
    max_steps: 100         # of a job; leave it out for what the ledger allows
    max_rate: 8            # highest learning rate; leave it out for any
    max_decay: 1           # strongest regularisation; leave it out for any
    columns: [age, visits] # what a job may train; leave it out for all columns
    min_columns: 2         # fewest that it trains: values show more along few
    max_jobs: 50           # that are ever answered for; leave it out for any number
    validation: 0.1        # fraction of the rows that never train
    abstain: false         # true: do not judge models on those rows, for pay
# One of these nodes must have recorded a step before this agent answers for it.
# Leave it out to trust any that the consortium's provenance asks for.
trust: [carol]
`

// ReadPolicy reads a policy. The paths in it are made relative to its folder.
func ReadPolicy(name string) (Policy, error) {
	var p Policy
	err := readYAML(name, &p)
	if errors.Is(err, fs.ErrNotExist) {
		return p, fmt.Errorf("%w; an agent takes part in nothing without it: commonseal agent --help shows one", err)
	}
	if err != nil {
		return p, err
	}
	if err := p.check(); err != nil {
		return p, fmt.Errorf("%s: %w", name, err)
	}
	for i, t := range p.Tasks {
		if !filepath.IsAbs(t.Data) {
			p.Tasks[i].Data = filepath.Join(filepath.Dir(name), t.Data)
		}
	}
	return p, nil
}

// maxValidation leaves most rows to train on.
const maxValidation = 0.5

func (p *Policy) check() error {
	if len(p.Tasks) == 0 {
		return errors.New("tasks: none; name at least one")
	}
	seen := map[string]bool{}
	for i, t := range p.Tasks {
		at := fmt.Sprintf("tasks[%d]", i)
		switch {
		case !ledger.ValidName(t.Name):
			return fmt.Errorf("%s: name: %q is not a name; use 1 to %d of a-z, 0-9 and inner hyphens", at, t.Name, ledger.MaxName)
		case seen[t.Name]:
			return fmt.Errorf("%s: name: %s is there twice", at, t.Name)
		case t.Data == "":
			return fmt.Errorf("%s: data: missing; name the CSV file with this company's rows", at)
		case t.Label == "":
			return fmt.Errorf("%s: label: missing; name the column to predict", at)
		case t.MaxSteps < 0 || t.MaxSteps > ledger.MaxSteps:
			return fmt.Errorf("%s: max_steps: %d; give 1 to %d", at, t.MaxSteps, ledger.MaxSteps)
		case !(t.MaxRate >= 0):
			return fmt.Errorf("%s: max_rate: %v; give a number above 0", at, t.MaxRate)
		case !(t.MaxDecay >= 0):
			return fmt.Errorf("%s: max_decay: %v; give a number above 0", at, t.MaxDecay)
		case t.MinColumns < 0 || t.MinColumns >= ledger.MaxColumns:
			return fmt.Errorf("%s: min_columns: %d; give 0 to %d", at, t.MinColumns, ledger.MaxColumns-1)
		case t.MaxJobs < 0:
			return fmt.Errorf("%s: max_jobs: %d; give 0 or a number above it", at, t.MaxJobs)
		case slices.Contains(t.Columns, ""):
			return fmt.Errorf("%s: columns: one has no name; give names of the task's columns", at)
		case !(t.Validation >= 0 && t.Validation <= maxValidation):
			return fmt.Errorf("%s: validation: %v; give a fraction up to %v", at, t.Validation, maxValidation)
		}
		seen[t.Name] = true
	}
	for i, name := range p.Trust {
		if !ledger.ValidName(name) {
			return fmt.Errorf("trust[%d]: %q is not the name of a node", i, name)
		}
	}
	return nil
}

// AddTask writes a task into the policy, in the place of one of its name. A
// relative path of its data is the caller's, not the home's.
func (h *Home) AddTask(t TaskPolicy) error {
	p, err := h.Policy()
	if errors.Is(err, fs.ErrNotExist) {
		p, err = Policy{}, nil
	}
	if err != nil {
		return err
	}
	if t.Data, err = filepath.Abs(t.Data); err != nil {
		return err
	}
	p.Tasks = append(slices.DeleteFunc(p.Tasks, func(had TaskPolicy) bool { return had.Name == t.Name }), t)
	if err := p.check(); err != nil {
		return err
	}
	b, err := appendYAML("What this agent takes part in. It does nothing for a task that is not here.\ncommonseal contribute writes this file; it may be edited.", &p)
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(h.Dir, policyFile), b, 0o600)
}
