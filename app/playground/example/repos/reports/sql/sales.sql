-- Reads inventory's primary: its replica is a day behind since the upgrade.
SELECT s.sku, sum(o.cents) AS revenue, max(s.free) AS left_in_stock
FROM ledger.orders o JOIN inventory.stock s USING (sku)
WHERE o.created_at >= current_date - 1
GROUP BY s.sku;
