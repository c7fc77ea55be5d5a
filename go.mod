module github.com/commonseal/commonseal

go 1.26.8

require (
	github.com/spf13/cobra v1.10.2 // commands, flags and help
	github.com/tuneinsight/lattigo/v5 v5.0.7 // rings, transforms and evaluators (docs/adr/0001)
	github.com/vbauerster/mpb/v8 v8.9.3 // progress bars with the time left
	gonum.org/v1/gonum v0.17.0 // cleartext twins and least squares
)

// Test dependencies.
require (
	github.com/rogpeppe/go-internal v1.16.0 // testscript: the command as a process
	pgregory.net/rapid v1.3.0 // property tests
)

require (
	github.com/ALTree/bigfloat v0.0.0-20220102081255-38c8b72a9924 // indirect
	github.com/VividCortex/ewma v1.2.0 // indirect
	github.com/acarl005/stripansi v0.0.0-20180116102854-5a71ef0e047d // indirect
	github.com/davecgh/go-spew v1.1.1 // indirect
	github.com/google/go-cmp v0.6.0 // indirect
	github.com/inconshreveable/mousetrap v1.1.0 // indirect
	github.com/kr/text v0.2.0 // indirect
	github.com/mattn/go-runewidth v0.0.16 // indirect
	github.com/pmezard/go-difflib v1.0.0 // indirect
	github.com/rivo/uniseg v0.4.7 // indirect
	github.com/spf13/pflag v1.0.9 // indirect
	github.com/stretchr/testify v1.8.0 // indirect
	golang.org/x/crypto v0.0.0-20220926161630-eccd6366d1be // indirect
	golang.org/x/exp v0.0.0-20230321023759-10a507213a29 // indirect
	golang.org/x/sys v0.30.0 // indirect
	golang.org/x/tools v0.30.0 // indirect
	gopkg.in/yaml.v3 v3.0.1 // indirect
)
