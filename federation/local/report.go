package local

import "time"

// A Report is what a run measured. Times are wall-clock seconds on the machine
// that ran it; every accuracy is over the test rows.
type Report struct {
	Rows         int     `json:"rows"`            // of the file
	Columns      int     `json:"columns"`         // features, without the label and the constant
	Trained      int     `json:"trained_columns"` // of them
	TrainRows    int     `json:"train_rows"`
	Validation   int     `json:"validation_rows"`
	TestRows     int     `json:"test_rows"`
	Questions    int     `json:"questions"` // distinct test rows
	Companies    int     `json:"companies"`
	Local        int     `json:"local"`
	Steps        int     `json:"steps"`
	ValuedSteps  int     `json:"valued_steps"`
	Decay        float64 `json:"decay"`
	Plan         string  `json:"plan"` // how rows are packed
	LearningRate float64 `json:"learning_rate"`

	// MarginMax is the largest |margin| the twin met. The interval of the
	// polynomial widens with the steps; Interval is the last one's. Beyond is the
	// largest ratio of a margin to its step's interval; above 1 the polynomial is no
	// sigmoid there, and Warnings says so.
	MarginMax float64  `json:"margin_max"`
	Interval  int      `json:"interval"`
	Beyond    float64  `json:"beyond"`
	Warnings  []string `json:"warnings"`

	AUCEncrypted      float64 `json:"auc_encrypted"` // from decrypted answers to encrypted queries
	AUCTwin           float64 `json:"auc_twin"`      // cleartext, same polynomial
	AUCPlaintext      float64 `json:"auc_plaintext"` // cleartext, exact sigmoid
	AccuracyEncrypted float64 `json:"accuracy_encrypted"`
	MaxWeightError    float64 `json:"max_weight_error"` // shared model against the twin

	CompanyRows []int     `json:"company_rows"` // training rows of each company
	SoloAUC     []float64 `json:"solo_auc"`     // exact plaintext on a company's own rows alone

	// Values are φ of each company, opened from its encryption: the median of what
	// the others find with equal stakes, each by its own validation rows.
	Values      []float64   `json:"values"`
	ValuesApart [][]float64 `json:"values_apart"` // what each evaluator finds of each company
	ValuesTwin  []float64   `json:"values_twin"`
	ValuesBound float64     `json:"values_bound"` // declared: |values − values_twin| stays below
	// Copies are the pairs whose updates are near-copies, one opened bit each: the
	// later company counts with the earlier one, and its value is 0.
	Copies       []CopyRows `json:"copies"`
	Shares       []int64    `json:"shares"`          // of a pot, in 1/128 of it; negative: a debit
	Noise        *Noise     `json:"noise,omitempty"` // on values
	Audit        *Audit     `json:"audit,omitempty"`
	AnswerError  float64    `json:"answer_error"` // answers against the model's own inner products
	ReleaseError float64    `json:"release_error"`

	SecondsCeremony float64 `json:"seconds_ceremony"`
	SecondsEncrypt  float64 `json:"seconds_encrypt"`
	// SecondsPerStep is the mean over steps without valuation; if every step
	// is valued, over all of them.
	SecondsPerStep   float64 `json:"seconds_per_step"`
	SecondsValuation float64 `json:"seconds_valuation"` // added by valuation, all steps and the release
	SecondsCopies    float64 `json:"seconds_copies"`
	SecondsAnswers   float64 `json:"seconds_answers"` // all queries: encrypt, answer, decrypt
	SecondsTotal     float64 `json:"seconds_total"`

	BytesUploaded int64 `json:"bytes_uploaded"` // blocks, updates and shares, by all companies
	BytesKeys     int64 `json:"bytes_keys"`     // ceremony messages, by all companies
	PeakRSS       int64 `json:"peak_rss_bytes"`

	// OpDigests name the output of every recorded operation in order: the same
	// seed and inputs give the same digests on any number of cores.
	OpDigests []string `json:"op_digests"`

	scores    []float64   // of the test rows, as decrypted
	twinApart [][]float64 // the twin's ValuesApart
}

// A Noise is what was added to every value before it was opened, and what that
// hides of one row in the worst case (circuit.Privacy).
type Noise struct {
	LogNoise    int     `json:"log_noise"` // the job's parameter
	Deviation   float64 `json:"deviation"` // of all companies' together, in units of a value
	Sensitivity float64 `json:"sensitivity"`
	Epsilon     float64 `json:"epsilon"`
	Delta       float64 `json:"delta"`
	// DeviationForOne is what one company's noise would have to be for ε = 1.
	DeviationForOne float64 `json:"deviation_for_one"`
}

// pace splits the time of all steps into steps as such and what valuation
// added to some.
func (r *Report) pace(plain, valued time.Duration, steps, valuedSteps int) {
	if steps == valuedSteps {
		r.SecondsPerStep = valued.Seconds() / float64(steps)
		return
	}
	r.SecondsPerStep = plain.Seconds() / float64(steps-valuedSteps)
	r.SecondsValuation = max(0, valued.Seconds()-float64(valuedSteps)*r.SecondsPerStep)
}
