package demo

// A Report is what a demonstration measured. Times are wall-clock seconds on the
// machine that ran it.
type Report struct {
	Folder       string  `json:"folder"`
	File         string  `json:"file"`
	Label        string  `json:"label"`
	Rows         int     `json:"rows"`
	Columns      int     `json:"columns"` // features, without the label and the constant
	TestRows     int     `json:"test_rows"`
	Companies    int     `json:"companies"`
	Local        int     `json:"local"`
	Steps        int     `json:"steps"`
	LearningRate float64 `json:"learning_rate"`

	Trained Trained  `json:"trained"`
	Answers Answers  `json:"answers"`
	Usage   []Usage  `json:"usage"`
	Rewards *Rewards `json:"rewards,omitempty"` // nil: without money
	Receipt string   `json:"receipt"`           // what verifying it said
	Forged  string   `json:"forged"`            // why one with a bit flipped was refused

	// Computed in the clear, from the files that were dealt out.
	AUCTwin      float64   `json:"auc_twin"`      // same polynomial and steps
	AUCPlaintext float64   `json:"auc_plaintext"` // exact sigmoid
	SoloAUC      []float64 `json:"solo_auc"`      // exact, on a company's own rows alone
	AnswerError  float64   `json:"answer_error"`  // largest difference of a margin from the twin's
	ValueError   float64   `json:"value_error"`   // of a company's value

	Stocks       []Stock `json:"stocks"`
	Blocks       int64   `json:"blocks"`
	Transactions int     `json:"transactions"`
	LedgerBytes  int64   `json:"ledger_bytes"` // of transactions
	Phases       []Phase `json:"phases"`
	Processes    int     `json:"processes"` // started in all
	PeakPSS      int64   `json:"peak_pss_bytes"`
	SecondsTotal float64 `json:"seconds_total"`
}

// A Phase is what took how long.
type Phase struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
}

// A Trained is what commonseal train prints.
type Trained struct {
	Job   string `json:"job"`
	Model string `json:"model"`
	Steps []struct {
		Step    int   `json:"step"`
		BlockMS int64 `json:"block_ms"`
		Records int   `json:"records"`
	} `json:"steps"`
	Values []struct {
		Company string  `json:"company"`
		Rows    int     `json:"rows"`
		Local   bool    `json:"local"`
		Value   float64 `json:"value"`
	} `json:"values"`
}

// StepSeconds are the times between the tickets of steps, in block time. The
// first is the one that opened the run.
func (t *Trained) StepSeconds() (out []float64) {
	for i := 1; i < len(t.Steps); i++ {
		out = append(out, float64(t.Steps[i].BlockMS-t.Steps[i-1].BlockMS)/1000)
	}
	return out
}

// Answers are what commonseal predict prints.
type Answers struct {
	Model    string    `json:"model"`
	Rows     int       `json:"rows"`
	Asked    int       `json:"asked"`
	Seconds  float64   `json:"seconds"`
	AUC      float64   `json:"auc"`
	Accuracy float64   `json:"accuracy"`
	Margins  []float64 `json:"margins"`
}

// A Usage is what commonseal usage prints of a querier.
type Usage struct {
	Querier string `json:"querier"`
	Task    string `json:"task"`
	Sponsor string `json:"sponsor"`
	Used    uint64 `json:"used"`
	Quota   uint64 `json:"quota"`
}

// A Stock is what somebody has on the disk at the end.
type Stock struct {
	Name    string `json:"name"`
	Role    string `json:"role"`
	Records int64  `json:"records_bytes"` // replica of the ledger and, of a validator, blocks
	Store   int64  `json:"store_bytes"`   // ciphertexts, shares, journal
}
