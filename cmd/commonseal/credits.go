package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/commonseal/commonseal/clients"
	"github.com/commonseal/commonseal/cmd/commonseal/internal/home"
	"github.com/commonseal/commonseal/ledger"
)

// newCredits shows and moves credits.
func newCredits() *cobra.Command {
	c := &cobra.Command{
		Use:   "credits",
		Short: "Show, send, stake and unstake credits",
		Args:  noArguments,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newCreditsShow(), newCreditsSend(), newCreditsStake(), newCreditsUnstake())
	return c
}

func newCreditsShow() *cobra.Command {
	var dir string
	var asJSON bool
	c := &cobra.Command{
		Use:   "show --home DIR",
		Short: "Print what every member has",
		Example: `  commonseal credits show --home ann
  commonseal credits show --home ann --json | jq '.accounts[] | select(.name == "ann").balance'`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := required(c, "home"); err != nil {
				return err
			}
			return asMember(c.Context(), dir, func(_ context.Context, _ *home.Home, client *clients.Client) error {
				return writeCredits(c.OutOrStdout(), client.View(), client.Now(), asJSON)
			})
		},
	}
	c.Flags().SortFlags = false
	c.Flags().StringVar(&dir, "home", "", "home of a member")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

// A holding is what one member has.
type holding struct {
	Name    string `json:"name"`
	Balance uint64 `json:"balance"`
	Stake   uint64 `json:"stake"`
	Escrow  uint64 `json:"escrow"`
	Locked  uint64 `json:"locked"` // until it vests, or its unstaking is over
	Owed    uint64 `json:"owed"`
}

func writeCredits(w io.Writer, v ledger.View, now int64, asJSON bool) error {
	all := []holding{}
	for _, m := range ledger.Members(v) {
		a := ledger.AccountOf(v, m.Name)
		h := holding{Name: m.Name, Balance: a.Balance, Stake: a.Stake, Escrow: a.Escrow, Owed: a.Owed}
		for _, l := range a.Locked {
			if l.Due <= now {
				h.Balance += l.Amount
			} else {
				h.Locked += l.Amount
			}
		}
		all = append(all, h)
	}
	if asJSON {
		return json.NewEncoder(w).Encode(map[string]any{"supply": ledger.Supply(v), "pot": ledger.PotOf(v, ledger.Digest{}), "accounts": all})
	}
	if ledger.Supply(v) == 0 {
		_, err := fmt.Fprintln(w, "no credits: the consortium was founded without money, or none is made yet")
		return err
	}
	if _, err := fmt.Fprintf(w, "%-20s %12s %12s %12s %12s\n", "", "to spend", "staked", "escrow", "locked"); err != nil {
		return err
	}
	for _, h := range all {
		if _, err := fmt.Fprintf(w, "%-20s %12d %12d %12d %12d\n", h.Name, h.Balance, h.Stake, h.Escrow, h.Locked); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "%-20s %12d   of %d in all\n", "pot", ledger.PotOf(v, ledger.Digest{}), ledger.Supply(v))
	return err
}

func newCreditsSend() *cobra.Command {
	var to, memo string
	c := moving("send AMOUNT --to NAME --home DIR", "Send credits to a member or querier",
		`  commonseal credits send 500 --to peer --home ann --memo "for the third model"`,
		func(amount uint64) (ledger.Body, error) {
			switch {
			case !ledger.ValidName(to):
				return nil, &usageError{"give --to: the name of a member or querier"}
			case len(memo) > ledger.MaxMemo:
				return nil, &usageError{fmt.Sprintf("--memo has %d bytes; it may have %d", len(memo), ledger.MaxMemo)}
			}
			return &ledger.Transfer{To: to, Amount: amount, Memo: []byte(memo)}, nil
		})
	c.Flags().StringVar(&to, "to", "", "who gets them")
	c.Flags().StringVar(&memo, "memo", "", "what for; everybody reads it")
	return c
}

func newCreditsStake() *cobra.Command {
	return moving("stake AMOUNT --home DIR", "Stake credits: rankings weigh as much, and who is proved wrong loses a part",
		`  commonseal credits stake 1000 --home ann`,
		func(amount uint64) (ledger.Body, error) { return &ledger.Stake{Amount: amount}, nil })
}

func newCreditsUnstake() *cobra.Command {
	return moving("unstake AMOUNT --home DIR", "Take staked credits back, to be spent when the delay is over",
		`  commonseal credits unstake 1000 --home ann`,
		func(amount uint64) (ledger.Body, error) { return &ledger.Unstake{Amount: amount}, nil })
}

// moving is a command that records what to do with an amount.
func moving(use, short, example string, body func(amount uint64) (ledger.Body, error)) *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:     use,
		Short:   short,
		Example: example,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return &usageError{fmt.Sprintf("give one amount; run %s --help", c.CommandPath())}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if err := required(c, "home"); err != nil {
				return err
			}
			amount, err := strconv.ParseUint(args[0], 10, 64)
			if err != nil || amount == 0 {
				return &usageError{fmt.Sprintf("%q is no amount of credits; give a whole number above 0", args[0])}
			}
			b, err := body(amount)
			if err != nil {
				return err
			}
			return asMember(c.Context(), dir, func(ctx context.Context, h *home.Home, client *clients.Client) error {
				if _, err := client.Record(ctx, b); err != nil {
					return err
				}
				a := ledger.AccountOf(client.View(), h.Member.Name)
				_, err := fmt.Fprintf(c.OutOrStdout(), "recorded     %s has %d to spend and %d staked\n", h.Member.Name, a.Balance, a.Stake)
				return err
			})
		},
	}
	c.Flags().SortFlags = false
	c.Flags().StringVar(&dir, "home", "", "home of the member whose credits they are")
	return c
}
