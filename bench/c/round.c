/*
 * The reference: a round over plain TCP. Blocking sockets, a thread per connection, one header of eight
 * bytes per message, nothing applied. The server sends live memory, and receives gradients piece by piece
 * into a small buffer that it forgets (and compares with what it must be, where the worker asks).
 *
 *   round serve BYTES                     prints {"port":N}; ends with its standard input
 *   round work PORT BYTES round|pull      a worker; commands on standard input, answers on standard output:
 *     measure WARM_MS MEASURE_MS   ->  {"warm":true}, then {"rate":R,"rounds":N,"p50Us":A,"p99Us":B,
 *                                      "maxUs":C}, and goes on until
 *     stop                         ->  {"total":N}
 *     check ROUNDS                 ->  {"ok":true}, or exits with a message
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PULL = 1, PUSH = 2, CHECKED_PUSH = 3, PIECE = 256 * 1024, MAX_LATENCIES = 1 << 20 };

static size_t model_bytes;
static float *model;

/* The formulas of bench/model.ts. */
static float initial_value(size_t i) { return (float)(int)(i % 1021) - 510; }
static float gradient_value(size_t i) { return (float)(((i % 1019) & 3) + 1); }

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static double now_seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void send_all(int fd, const void *bytes, size_t count) {
  const char *at = bytes;
  while (count > 0) {
    ssize_t sent = send(fd, at, count, MSG_NOSIGNAL);
    if (sent <= 0) fail("send");
    at += sent;
    count -= (size_t)sent;
  }
}

/* Returns 0 at the end of the stream. */
static int receive_all(int fd, void *bytes, size_t count) {
  char *at = bytes;
  while (count > 0) {
    ssize_t received = recv(fd, at, count, 0);
    if (received < 0) fail("recv");
    if (received == 0) return 0;
    at += received;
    count -= (size_t)received;
  }
  return 1;
}

static float *filled(float (*value)(size_t)) {
  float *values = malloc(model_bytes);
  if (values == NULL) fail("malloc");
  for (size_t i = 0; i < model_bytes / 4; i++) values[i] = value(i);
  return values;
}

/* Receives a gradient; whether it was right, which is looked at only where asked. */
static int receive_gradient(int fd, float *piece, int is_checked) {
  int is_right = 1;
  for (size_t done = 0; done < model_bytes;) {
    size_t count = model_bytes - done < PIECE ? model_bytes - done : PIECE;
    if (!receive_all(fd, piece, count)) return 0;
    for (size_t i = 0; is_checked && i < count / 4; i++) is_right &= piece[i] == gradient_value(done / 4 + i);
    done += count;
  }
  return is_right;
}

static void *serve_connection(void *argument) {
  int fd = (int)(intptr_t)argument;
  float *piece = malloc(PIECE);
  uint64_t header;
  while (receive_all(fd, &header, sizeof header)) {
    if (header == PULL) {
      send_all(fd, model, model_bytes);
    } else {
      uint64_t answer = (uint64_t)receive_gradient(fd, piece, header == CHECKED_PUSH);
      send_all(fd, &answer, sizeof answer);
    }
  }
  free(piece);
  close(fd);
  return NULL;
}

static void *accept_connections(void *argument) {
  int listener = (int)(intptr_t)argument;
  for (;;) {
    int fd = accept(listener, NULL, NULL), one = 1;
    if (fd < 0) fail("accept");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    pthread_t thread;
    if (pthread_create(&thread, NULL, serve_connection, (void *)(intptr_t)fd) != 0) fail("pthread_create");
    pthread_detach(thread);
  }
  return NULL;
}

static void serve(void) {
  model = filled(initial_value);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(listener, (struct sockaddr *)&address, length) != 0 || listen(listener, 128) != 0) fail("listen");
  getsockname(listener, (struct sockaddr *)&address, &length);
  pthread_t thread;
  if (pthread_create(&thread, NULL, accept_connections, (void *)(intptr_t)listener) != 0) fail("pthread_create");
  printf("{\"port\":%d}\n", ntohs(address.sin_port));
  fflush(stdout);
  while (getchar() != EOF) {
  }
}

static int connect_to(int port) {
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
  if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) fail("connect");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return fd;
}

static void pull(int fd, float *into) {
  uint64_t header = PULL;
  send_all(fd, &header, sizeof header);
  if (!receive_all(fd, into, model_bytes)) fail("pull");
}

static int push(int fd, const float *gradient, uint64_t header) {
  uint64_t answer = 0;
  send_all(fd, &header, sizeof header);
  send_all(fd, gradient, model_bytes);
  if (!receive_all(fd, &answer, sizeof answer)) fail("push");
  return answer == 1;
}

static int compare_doubles(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Rounds until a line waits on standard input after the measured time is over. */
static void measure(int fd, float *into, const float *gradient, int pulls_only, double warm, double span) {
  static double latencies[MAX_LATENCIES];
  long total = 0, rounds = -1; /* -1: still warming up */
  double begin = now_seconds(), start = 0, last = begin;
  int is_reported = 0;
  struct pollfd input = {.fd = 0, .events = POLLIN};
  while (!is_reported || poll(&input, 1, 0) == 0) {
    pull(fd, into);
    if (!pulls_only && !push(fd, gradient, PUSH)) fail("push");
    total++;
    double now = now_seconds();
    if (rounds >= 0) {
      if (rounds < MAX_LATENCIES) latencies[rounds] = now - last;
      rounds++;
    } else if (now - begin >= warm) {
      printf("{\"warm\":true}\n");
      fflush(stdout);
      rounds = 0;
      start = now;
    }
    last = now;
    if (!is_reported && rounds >= 2 && now - start >= span) {
      long count = rounds < MAX_LATENCIES ? rounds : MAX_LATENCIES;
      qsort(latencies, (size_t)count, sizeof *latencies, compare_doubles);
      printf("{\"rate\":%.6f,\"rounds\":%ld,\"p50Us\":%.1f,\"p99Us\":%.1f,\"maxUs\":%.1f}\n",
             (double)rounds / (now - start), rounds, latencies[(count - 1) / 2] * 1e6,
             latencies[(count * 99 + 99) / 100 - 1] * 1e6, latencies[count - 1] * 1e6);
      fflush(stdout);
      is_reported = 1;
    }
  }
  printf("{\"total\":%ld}\n", total);
  fflush(stdout);
}

static void work(int port, int pulls_only) {
  int fd = connect_to(port);
  float *into = filled(gradient_value), *gradient = filled(gradient_value);
  char line[128];
  double warm, span;
  printf("{\"ready\":true}\n");
  fflush(stdout);
  /* Unbuffered: poll must see what has not been read. */
  setvbuf(stdin, NULL, _IONBF, 0);
  while (fgets(line, sizeof line, stdin) != NULL) {
    if (sscanf(line, "measure %lf %lf", &warm, &span) == 2) {
      measure(fd, into, gradient, pulls_only, warm / 1e3, span / 1e3);
    } else if (strncmp(line, "check", 5) == 0) {
      pull(fd, into);
      int is_right = push(fd, gradient, CHECKED_PUSH);
      for (size_t i = 0; i < model_bytes / 4; i++) is_right &= into[i] == initial_value(i);
      if (!is_right) fail("wrong values");
      printf("{\"ok\":true}\n");
      fflush(stdout);
    }
  }
}

int main(int count, char **arguments) {
  if (count == 3 && strcmp(arguments[1], "serve") == 0) {
    model_bytes = strtoull(arguments[2], NULL, 10);
    serve();
  } else if (count == 5 && strcmp(arguments[1], "work") == 0) {
    model_bytes = strtoull(arguments[3], NULL, 10);
    work(atoi(arguments[2]), strcmp(arguments[4], "pull") == 0);
  } else {
    fprintf(stderr, "usage: round serve BYTES | round work PORT BYTES round|pull\n");
    return 2;
  }
  return 0;
}
