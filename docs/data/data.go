// Package data is the table that the demonstration runs on by default, so that
// the binary needs no file.
package data

import _ "embed"

// InfantMortality2014 is infant_mortality_2014.csv: README.md says what it is.
//
//go:embed infant_mortality_2014.csv
var InfantMortality2014 []byte

// Name and Label are the table's file and the column to predict.
const (
	Name  = "infant_mortality_2014.csv"
	Label = "IMORT"
)
