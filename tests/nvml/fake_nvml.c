/* A libnvidia-ml.so.1 for tests: the functions of NVML that Medley's node agent calls, on boards in a shared file.
 *
 * The file plays the driver: what is set there outlives the process, as a board's registers do, and a test may read and
 * change it at any time (registers.py has the same layout). Names, arguments, codes and units are NVML's; the code is
 * Medley's own.
 */
#include <fcntl.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    SUCCESS = 0,
    UNINITIALIZED = 1,
    INVALID_ARGUMENT = 2,
    NOT_SUPPORTED = 3,
    NO_PERMISSION = 4,
    NOT_FOUND = 6,
    INSUFFICIENT_SIZE = 7,
    DRIVER_NOT_LOADED = 9,
    GPU_IS_LOST = 15,
    UNKNOWN = 999
};

#define MAGIC 0x4d4c564eu
#define MOST_BOARDS 256
#define POWER_CAP_REASON 0x04ull
#define MEMORY_MHZ 1593u

struct board {
    char uuid[48];
    char name[64];
    uint32_t min_mw, max_mw, default_mw, limit_mw;
    uint32_t outside_mw;  /* a limit from outside the server; 0: none */
    uint32_t low_mhz, high_mhz, step_mhz;
    uint32_t locked_mhz;  /* 0: not locked */
    uint32_t fault;       /* what every call answers; 0: the board works */
    uint32_t write_fault, clock_fault;
    uint32_t has_limit, mig;
    uint32_t load_permille, idle_mw;
    uint32_t delay_ms;    /* how long each call takes */
    uint32_t writes;
    uint64_t energy_mj, counted_ns, reasons;
};

struct registers {
    uint32_t magic, boards, driver_fault, loads;
    struct board board[MOST_BOARDS];
};

static struct registers *shared;
static uint32_t opened_load;
static int open_count;

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

static int map_file(void) {
    const char *path = getenv("FAKE_NVML_REGISTERS");
    if (shared != NULL) return SUCCESS;
    if (path == NULL) return DRIVER_NOT_LOADED;
    int file = open(path, O_RDWR);
    if (file < 0) return DRIVER_NOT_LOADED;
    void *found = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (found == MAP_FAILED || ((struct registers *)found)->magic != MAGIC) return DRIVER_NOT_LOADED;
    shared = found;
    return SUCCESS;
}

static int ready(void) {
    if (open_count == 0 || shared == NULL) return UNINITIALIZED;
    if (shared->driver_fault != 0) return (int)shared->driver_fault;
    return shared->loads == opened_load ? SUCCESS : UNKNOWN;
}

static int usable(struct board *board) {
    int state = ready();
    if (state != SUCCESS) return state;
    if (board < shared->board || board >= shared->board + shared->boards) return INVALID_ARGUMENT;
    if (board->delay_ms != 0) usleep(board->delay_ms * 1000);
    return (int)board->fault;
}

static int writable(struct board *board) {
    int state = usable(board);
    return state != SUCCESS ? state : (int)board->write_fault;
}

static uint32_t clock_of(const struct board *board) {
    return board->locked_mhz != 0 ? board->locked_mhz : board->high_mhz;
}

static uint32_t enforced_of(const struct board *board) {
    uint32_t limit = board->has_limit ? board->limit_mw : board->max_mw;
    return board->outside_mw != 0 && board->outside_mw < limit ? board->outside_mw : limit;
}

static double wanted_mw(const struct board *board) {
    double share = board->high_mhz == 0 ? 1.0 : pow((double)clock_of(board) / board->high_mhz, 1.2);
    return board->idle_mw + board->load_permille / 1000.0 * ((double)board->max_mw - board->idle_mw) * share;
}

static uint32_t usage_of(const struct board *board) {
    double wanted = wanted_mw(board);
    return wanted < enforced_of(board) ? (uint32_t)wanted : enforced_of(board);
}

int nvmlInitWithFlags(unsigned int flags) {
    (void)flags;
    int state = map_file();
    if (state != SUCCESS) return state;
    if (shared->driver_fault != 0) return (int)shared->driver_fault;
    opened_load = shared->loads;
    open_count++;
    return SUCCESS;
}

int nvmlShutdown(void) {
    if (open_count == 0) return UNINITIALIZED;
    open_count--;
    return SUCCESS;
}

const char *nvmlErrorString(int code) {
    (void)code;
    return "an error of the fake NVML";
}

int nvmlDeviceGetCount_v2(unsigned int *count) {
    int state = ready();
    if (state == SUCCESS) *count = shared->boards;
    return state;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, struct board **board) {
    int state = ready();
    if (state != SUCCESS) return state;
    if (index >= shared->boards) return INVALID_ARGUMENT;
    if (shared->board[index].fault == GPU_IS_LOST) return GPU_IS_LOST;
    *board = &shared->board[index];
    return SUCCESS;
}

int nvmlDeviceGetHandleByUUID(const char *uuid, struct board **board) {
    int state = ready();
    if (state != SUCCESS) return state;
    for (uint32_t index = 0; index < shared->boards; index++) {
        if (strncmp(shared->board[index].uuid, uuid, sizeof shared->board[index].uuid) == 0) {
            *board = &shared->board[index];
            return shared->board[index].fault == GPU_IS_LOST ? GPU_IS_LOST : SUCCESS;
        }
    }
    return NOT_FOUND;
}

static int text(struct board *board, const char *from, char *to, unsigned int size) {
    int state = usable(board);
    if (state != SUCCESS) return state;
    if (strlen(from) + 1 > size) return INSUFFICIENT_SIZE;
    strcpy(to, from);
    return SUCCESS;
}

int nvmlDeviceGetUUID(struct board *board, char *uuid, unsigned int size) {
    return text(board, board->uuid, uuid, size);
}

int nvmlDeviceGetName(struct board *board, char *name, unsigned int size) {
    return text(board, board->name, name, size);
}

static int watts(struct board *board, uint32_t value, unsigned int *milliwatts) {
    int state = usable(board);
    if (state != SUCCESS) return state;
    if (!board->has_limit) return NOT_SUPPORTED;
    *milliwatts = value;
    return SUCCESS;
}

int nvmlDeviceGetPowerManagementLimit(struct board *board, unsigned int *limit) {
    return watts(board, board->limit_mw, limit);
}

int nvmlDeviceGetPowerManagementDefaultLimit(struct board *board, unsigned int *limit) {
    return watts(board, board->default_mw, limit);
}

int nvmlDeviceGetEnforcedPowerLimit(struct board *board, unsigned int *limit) {
    return watts(board, enforced_of(board), limit);
}

int nvmlDeviceGetPowerManagementLimitConstraints(struct board *board, unsigned int *least, unsigned int *most) {
    int state = watts(board, board->min_mw, least);
    return state == SUCCESS ? watts(board, board->max_mw, most) : state;
}

int nvmlDeviceSetPowerManagementLimit(struct board *board, unsigned int limit) {
    int state = writable(board);
    if (state != SUCCESS) return state;
    if (!board->has_limit) return NOT_SUPPORTED;
    if (limit < board->min_mw || limit > board->max_mw) return INVALID_ARGUMENT;
    board->limit_mw = limit;
    board->writes++;
    return SUCCESS;
}

int nvmlDeviceGetPowerUsage(struct board *board, unsigned int *milliwatts) {
    int state = usable(board);
    if (state == SUCCESS) *milliwatts = usage_of(board);
    return state;
}

int nvmlDeviceGetTotalEnergyConsumption(struct board *board, unsigned long long *millijoules) {
    int state = usable(board);
    if (state != SUCCESS) return state;
    uint64_t now = now_ns();
    if (board->counted_ns != 0) board->energy_mj += (uint64_t)(usage_of(board) * ((now - board->counted_ns) / 1e9));
    board->counted_ns = now;
    *millijoules = board->energy_mj;
    return SUCCESS;
}

static int clocks(struct board *board) {
    int state = writable(board);
    if (state != SUCCESS) return state;
    if (board->high_mhz == 0) return NOT_SUPPORTED;
    return (int)board->clock_fault;
}

int nvmlDeviceSetGpuLockedClocks(struct board *board, unsigned int least, unsigned int most) {
    int state = clocks(board);
    if (state != SUCCESS) return state;
    if (least > most || most < board->low_mhz) return INVALID_ARGUMENT;
    if (most > board->high_mhz) most = board->high_mhz;
    board->locked_mhz = most - (most - board->low_mhz) % board->step_mhz;
    board->writes++;
    return SUCCESS;
}

int nvmlDeviceResetGpuLockedClocks(struct board *board) {
    int state = clocks(board);
    if (state != SUCCESS) return state;
    board->locked_mhz = 0;
    board->writes++;
    return SUCCESS;
}

int nvmlDeviceGetClockInfo(struct board *board, int type, unsigned int *mhz) {
    int state = usable(board);
    if (state == SUCCESS) *mhz = type == 0 ? clock_of(board) : MEMORY_MHZ;
    return state;
}

int nvmlDeviceGetSupportedMemoryClocks(struct board *board, unsigned int *count, unsigned int *mhz) {
    int state = usable(board);
    if (state != SUCCESS) return state;
    if (board->high_mhz == 0) return NOT_SUPPORTED;
    unsigned int room = *count;
    *count = 1;
    if (mhz == NULL || room < 1) return INSUFFICIENT_SIZE;
    mhz[0] = MEMORY_MHZ;
    return SUCCESS;
}

int nvmlDeviceGetSupportedGraphicsClocks(
    struct board *board, unsigned int memory, unsigned int *count, unsigned int *mhz) {
    int state = usable(board);
    if (state != SUCCESS) return state;
    if (board->high_mhz == 0) return NOT_SUPPORTED;
    if (memory != MEMORY_MHZ) return NOT_FOUND;
    unsigned int room = *count, steps = (board->high_mhz - board->low_mhz) / board->step_mhz + 1;
    *count = steps;
    if (mhz == NULL || room < steps) return INSUFFICIENT_SIZE;
    for (unsigned int index = 0; index < steps; index++) mhz[index] = board->high_mhz - index * board->step_mhz;
    return SUCCESS;
}

static int reasons(struct board *board, unsigned long long *bits) {
    int state = usable(board);
    if (state != SUCCESS) return state;
    *bits = board->reasons | (wanted_mw(board) > enforced_of(board) ? POWER_CAP_REASON : 0ull);
    return SUCCESS;
}

#ifndef OLDER_DRIVER
int nvmlDeviceGetCurrentClocksEventReasons(struct board *board, unsigned long long *bits) {
    return reasons(board, bits);
}
#endif

int nvmlDeviceGetCurrentClocksThrottleReasons(struct board *board, unsigned long long *bits) {
    return reasons(board, bits);
}

int nvmlDeviceGetMigMode(struct board *board, unsigned int *current, unsigned int *pending) {
    int state = usable(board);
    if (state != SUCCESS) return state;
    *current = *pending = board->mig;
    return SUCCESS;
}
