import { db } from "./db";

const MINUTES = Number(process.env.RESERVATION_MINUTES ?? 10);

/** Holds items of one SKU. Not idempotent: asking twice holds twice. */
export async function reserve(sku: string, count: number): Promise<string> {
  return db.transaction(async (tx) => {
    const row = await tx.one("SELECT free FROM stock WHERE sku = $1 FOR UPDATE", [sku]);
    if (row.free < count) throw new OutOfStock(sku);
    await tx.none("UPDATE stock SET free = free - $2 WHERE sku = $1", [sku, count]);
    return tx.insertReservation(sku, count, MINUTES);
  });
}

export class OutOfStock extends Error {}
