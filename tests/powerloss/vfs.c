/*
 * A SQLite VFS that loses unsynced writes.
 *
 * It passes everything to the default VFS and records, per open file, every write and truncation since the last sync
 * of that file. powerloss_cut() then simulates a power cut: it reverts all unsynced changes and writes a random part of
 * them again, sector by sector. After that every write and sync fails.
 */
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#define SECTOR 512

typedef struct Change Change;
struct Change {
    Change *next; /* the next older change */
    sqlite3_int64 offset;
    sqlite3_int64 old_size;
    int old_len; /* bytes of the range that existed */
    int new_len; /* 0: a truncation to `offset` */
    unsigned char *old_bytes;
    unsigned char *new_bytes;
};

typedef struct LossyFile LossyFile;
struct LossyFile {
    sqlite3_file base;
    LossyFile *next_open;
    Change *unsynced; /* newest first */
    sqlite3_file *real;
};

static sqlite3_vfs *real_vfs;
static sqlite3_vfs lossy_vfs;
static sqlite3_io_methods lossy_methods;
static sqlite3_mutex *lock;
static LossyFile *open_files;
static int is_cut;
static unsigned long long random_state = 1;
static unsigned long long taken_back;

static unsigned long long roll(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static void drop_changes(LossyFile *file) {
    while (file->unsynced) {
        Change *change = file->unsynced;
        file->unsynced = change->next;
        free(change->old_bytes);
        free(change->new_bytes);
        free(change);
    }
}

/* Records the bytes that a write is about to replace. */
static int record_change(LossyFile *file, sqlite3_int64 offset, const void *bytes, int len) {
    sqlite3_file *real = file->real;
    sqlite3_int64 size = 0;
    int rc = real->pMethods->xFileSize(real, &size);
    if (rc != SQLITE_OK) return rc;
    sqlite3_int64 end = bytes ? offset + len : size;
    if (end > size) end = size;
    int old_len = end > offset ? (int)(end - offset) : 0;
    Change *change = calloc(1, sizeof *change);
    if (!change) return SQLITE_NOMEM;
    change->old_bytes = malloc(old_len ? old_len : 1);
    change->new_bytes = malloc(len ? len : 1);
    if (!change->old_bytes || !change->new_bytes) return SQLITE_NOMEM;
    if (old_len) {
        rc = real->pMethods->xRead(real, change->old_bytes, old_len, offset);
        if (rc != SQLITE_OK) return rc;
    }
    if (bytes) memcpy(change->new_bytes, bytes, len);
    change->offset = offset;
    change->old_size = size;
    change->old_len = old_len;
    change->new_len = bytes ? len : 0;
    change->next = file->unsynced;
    file->unsynced = change;
    return SQLITE_OK;
}

static int lossy_close(sqlite3_file *f) {
    LossyFile *file = (LossyFile *)f;
    sqlite3_mutex_enter(lock);
    LossyFile **at = &open_files;
    while (*at && *at != file) at = &(*at)->next_open;
    if (*at) *at = file->next_open;
    drop_changes(file);
    sqlite3_mutex_leave(lock);
    int rc = file->real->pMethods->xClose(file->real);
    sqlite3_free(file->real);
    return rc;
}

static int lossy_read(sqlite3_file *f, void *bytes, int len, sqlite3_int64 offset) {
    sqlite3_file *real = ((LossyFile *)f)->real;
    return real->pMethods->xRead(real, bytes, len, offset);
}

static int lossy_write(sqlite3_file *f, const void *bytes, int len, sqlite3_int64 offset) {
    LossyFile *file = (LossyFile *)f;
    sqlite3_mutex_enter(lock);
    int rc = is_cut ? SQLITE_IOERR_WRITE : record_change(file, offset, bytes, len);
    if (rc == SQLITE_OK) rc = file->real->pMethods->xWrite(file->real, bytes, len, offset);
    sqlite3_mutex_leave(lock);
    return rc;
}

static int lossy_truncate(sqlite3_file *f, sqlite3_int64 size) {
    LossyFile *file = (LossyFile *)f;
    sqlite3_mutex_enter(lock);
    int rc = is_cut ? SQLITE_IOERR_TRUNCATE : record_change(file, size, 0, 0);
    if (rc == SQLITE_OK) rc = file->real->pMethods->xTruncate(file->real, size);
    sqlite3_mutex_leave(lock);
    return rc;
}

static int lossy_sync(sqlite3_file *f, int flags) {
    LossyFile *file = (LossyFile *)f;
    (void)flags; /* the page cache outlives the test, so recording the request is enough */
    sqlite3_mutex_enter(lock);
    int rc = is_cut ? SQLITE_IOERR_FSYNC : SQLITE_OK;
    if (rc == SQLITE_OK) drop_changes(file);
    sqlite3_mutex_leave(lock);
    return rc;
}

#define REAL(f) (((LossyFile *)(f))->real)
static int lossy_size(sqlite3_file *f, sqlite3_int64 *size) { return REAL(f)->pMethods->xFileSize(REAL(f), size); }
static int lossy_lock(sqlite3_file *f, int level) { return REAL(f)->pMethods->xLock(REAL(f), level); }
static int lossy_unlock(sqlite3_file *f, int level) { return REAL(f)->pMethods->xUnlock(REAL(f), level); }
static int lossy_reserved(sqlite3_file *f, int *out) { return REAL(f)->pMethods->xCheckReservedLock(REAL(f), out); }
static int lossy_sector(sqlite3_file *f) { (void)f; return SECTOR; }
static int lossy_traits(sqlite3_file *f) { (void)f; return SQLITE_IOCAP_POWERSAFE_OVERWRITE; }
static int lossy_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **out) {
    return REAL(f)->pMethods->xShmMap(REAL(f), page, size, extend, out);
}
static int lossy_shm_lock(sqlite3_file *f, int offset, int n, int flags) {
    return REAL(f)->pMethods->xShmLock(REAL(f), offset, n, flags);
}
static void lossy_shm_barrier(sqlite3_file *f) { REAL(f)->pMethods->xShmBarrier(REAL(f)); }
static int lossy_shm_unmap(sqlite3_file *f, int delete) { return REAL(f)->pMethods->xShmUnmap(REAL(f), delete); }
static int lossy_control(sqlite3_file *f, int op, void *arg) {
    /* Size hints would grow the file without a write; other requests go to the real file. */
    if (op == SQLITE_FCNTL_SIZE_HINT || op == SQLITE_FCNTL_CHUNK_SIZE) return SQLITE_OK;
    return REAL(f)->pMethods->xFileControl(REAL(f), op, arg);
}

static int lossy_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out_flags) {
    LossyFile *file = (LossyFile *)f;
    (void)vfs;
    memset(file, 0, sizeof *file);
    file->real = sqlite3_malloc(real_vfs->szOsFile);
    if (!file->real) return SQLITE_NOMEM;
    memset(file->real, 0, real_vfs->szOsFile);
    int rc = real_vfs->xOpen(real_vfs, name, file->real, flags, out_flags);
    if (rc != SQLITE_OK) {
        sqlite3_free(file->real);
        return rc;
    }
    file->base.pMethods = &lossy_methods;
    sqlite3_mutex_enter(lock);
    file->next_open = open_files;
    open_files = file;
    sqlite3_mutex_leave(lock);
    return SQLITE_OK;
}

static int lossy_delete(sqlite3_vfs *vfs, const char *name, int sync_dir) {
    (void)vfs;
    if (is_cut) return SQLITE_IOERR_DELETE;
    return real_vfs->xDelete(real_vfs, name, sync_dir);
}

/* Registers the VFS as "powerloss"; safe to call again. */
int powerloss_register(void) {
    if (real_vfs) return SQLITE_OK;
    int rc = sqlite3_initialize();
    if (rc != SQLITE_OK) return rc;
    real_vfs = sqlite3_vfs_find(0);
    lock = sqlite3_mutex_alloc(SQLITE_MUTEX_RECURSIVE);
    if (!real_vfs || !lock) return SQLITE_ERROR;
    sqlite3_io_methods methods = {
        2, lossy_close, lossy_read, lossy_write, lossy_truncate, lossy_sync, lossy_size, lossy_lock, lossy_unlock,
        lossy_reserved, lossy_control, lossy_sector, lossy_traits, lossy_shm_map, lossy_shm_lock, lossy_shm_barrier,
        lossy_shm_unmap, 0, 0,
    };
    lossy_methods = methods;
    lossy_vfs = *real_vfs;
    lossy_vfs.pNext = 0;
    lossy_vfs.zName = "powerloss";
    lossy_vfs.szOsFile = sizeof(LossyFile);
    lossy_vfs.xOpen = lossy_open;
    lossy_vfs.xDelete = lossy_delete;
    return sqlite3_vfs_register(&lossy_vfs, 0);
}

/* Writes one sector-sized part of a change again. */
static void write_again(LossyFile *file, const Change *change, int from, int len) {
    file->real->pMethods->xWrite(file->real, change->new_bytes + from, len, change->offset + from);
}

static void lose(LossyFile *file) {
    int count = 0;
    sqlite3_file *real = file->real;
    for (Change *change = file->unsynced; change; change = change->next) {
        if (change->old_len) real->pMethods->xWrite(real, change->old_bytes, change->old_len, change->offset);
        sqlite3_int64 size = 0;
        real->pMethods->xFileSize(real, &size);
        if (size > change->old_size) real->pMethods->xTruncate(real, change->old_size);
        count++;
    }
    taken_back += count;
    /* Oldest first, each sector with a chance of one half; truncations are not repeated. */
    Change **in_order = malloc(sizeof *in_order * (count ? count : 1));
    int at = count;
    for (Change *change = file->unsynced; change && in_order; change = change->next) in_order[--at] = change;
    for (int i = 0; in_order && i < count; i++) {
        for (int from = 0; from < in_order[i]->new_len; from += SECTOR) {
            int len = in_order[i]->new_len - from;
            if (roll() & 1) write_again(file, in_order[i], from, len < SECTOR ? len : SECTOR);
        }
    }
    free(in_order);
    drop_changes(file);
}

/* Cuts the power: unsynced changes are lost, except for a random part chosen by `seed`, and nothing more is written.
 * Returns the number of unsynced changes. */
unsigned long long powerloss_cut(unsigned long long seed) {
    sqlite3_mutex_enter(lock);
    is_cut = 1;
    random_state = seed * 2654435761ULL + 88172645463325252ULL;
    taken_back = 0;
    for (LossyFile *file = open_files; file; file = file->next_open) lose(file);
    sqlite3_mutex_leave(lock);
    return taken_back;
}

/* Restores the power. Every file opened before must be closed. */
int powerloss_restore(void) {
    sqlite3_mutex_enter(lock);
    int still_open = open_files != 0;
    if (!still_open) is_cut = 0;
    sqlite3_mutex_leave(lock);
    return still_open;
}
