package table_test

import (
	"fmt"
	"strings"

	"github.com/commonseal/commonseal/federation/table"
)

func ExampleRead() {
	t, err := table.Read(strings.NewReader("age,dose,ill\n40,1.5,0\n60,2.5,1\n50,2.0,1\n"), "clinic.csv", "ill")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(t.Len(), "rows of", t.Columns(), "columns")
	fmt.Println(t.AppendRow(nil, 2), t.Label(2))

	_, err = table.Read(strings.NewReader("age,dose,ill\n40,1.5,0\n60,,1\n"), "clinic.csv", "ill")
	fmt.Println(err)
	// Output:
	// 3 rows of 2 columns
	// [1 0 0] 1
	// clinic.csv:3: column "dose": the cell is empty; fill it in or remove the row
}
