package pay

// Pay reserves, charges and stores the order, in this order. When charging fails the reservation is
// left to run out; nothing gives it back yet.
func (h *Handler) Pay(w Writer, r *Request) {
	reservation, err := h.Inventory.Reserve(r.Context(), r.Cart)
	if err != nil {
		w.Refuse(503, "out_of_reach")
		return
	}
	if err := h.Payments.Charge(r.Context(), r.Charge()); err != nil {
		w.Refuse(502, "not_charged")
		return
	}
	h.Orders.Store(r.Context(), reservation, r.Cart)
}
