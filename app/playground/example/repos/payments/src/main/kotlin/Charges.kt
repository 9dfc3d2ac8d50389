package example.acme.payments

/** Charges once per key: a second request with the same key gets the first one's answer. */
class Charges(private val ledger: Ledger, private val provider: Provider) {
    fun charge(key: String?, request: ChargeRequest): ChargeResult {
        if (key == null) Metrics.chargesWithoutKey.increment()
        val known = key?.let { ledger.byKey(it) }
        if (known != null) {
            if (known.cents != request.cents) throw Conflict("same key, other amount")
            return known.result
        }
        val result = provider.charge(request)
        ledger.append(key, request, result)
        return result
    }
}
