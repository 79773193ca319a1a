import pg from "pg";

/** A connection for looking at PostgreSQL's own books, beside the load. */
export interface Books {
  read(): Promise<BookPage>;
  /** Of the write-ahead log between two pages, what page images take: a second for each 300 MB. */
  imageBytes(from: BookPage, to: BookPage): Promise<number>;
  /** Tables with their partitions, indexes and what is kept out of line. */
  tableSizes(): Promise<readonly TableSize[]>;
  query<Row>(text: string, params?: readonly unknown[]): Promise<Row[]>;
  close(): Promise<void>;
}

export interface BookPage {
  /** Position in the write-ahead log, bytes. */
  walBytes: number;
  /** Whole pages written to it because a checkpoint came before their first change. */
  walPageImages: number;
  /** Transactions that wrote something, since the database was made. */
  writes: number;
  /** Transactions of any kind; PostgreSQL books them up to a second late. */
  commits: number;
}

export interface TableSize {
  table: string;
  bytes: number;
  indexBytes: number;
  rows: number;
}

const pageQuery = `
  select (pg_current_wal_insert_lsn() - '0/0')::float8 as "walBytes",
    (select wal_fpi from pg_stat_wal)::float8 as "walPageImages",
    pg_snapshot_xmax(pg_current_snapshot())::text::float8 as writes,
    (select sum(xact_commit) from pg_stat_database where datname = current_database())::float8 as commits`;

const imagesQuery = `
  select coalesce(sum(fpi_size), 0)::float8 as bytes
  from pg_get_wal_stats('0/0'::pg_lsn + $1::numeric, '0/0'::pg_lsn + $2::numeric)`;

const sizesQuery = `
  select coalesce(p.relname, c.relname) as "table", sum(pg_total_relation_size(c.oid))::float8 as bytes,
    sum(pg_indexes_size(c.oid))::float8 as "indexBytes", sum(greatest(c.reltuples, 0))::float8 as rows
  from pg_class c
  left join pg_inherits i on i.inhrelid = c.oid
  left join pg_class p on p.oid = i.inhparent
  where c.relnamespace = 'public'::regnamespace and c.relkind = 'r'
  group by 1 order by 2 desc`;

export async function openBooks(databaseUrl: string): Promise<Books> {
  const client = new pg.Client({ connectionString: databaseUrl, application_name: "uoop-bench-books" });
  client.on("error", () => undefined);
  await client.connect();
  const query = async <Row>(text: string, params: readonly unknown[] = []): Promise<Row[]> =>
    (await client.query(text, params as unknown[])).rows as Row[];
  return {
    query,
    async read() {
      const [page] = await query<BookPage>(pageQuery);
      return page!;
    },
    async imageBytes(from, to) {
      await query("create extension if not exists pg_walinspect");
      const [sum] = await query<{ bytes: number }>(imagesQuery, [from.walBytes, to.walBytes]);
      return sum!.bytes;
    },
    tableSizes: () => query<TableSize>(sizesQuery),
    close: () => client.end(),
  };
}
