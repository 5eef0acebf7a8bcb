/* use NAME...: fails unless the linked library has every loss named. */
#include <lossc/lossc.h>
#include <stdio.h>

int main(int argc, char **argv) {
  int missing = 0;
  printf("%s, %zu losses\n", lossc_build_info(), lossc_loss_count());
  for (int i = 1; i < argc; i++) {
    if (lossc_loss_find(argv[i]) == NULL) {
      fprintf(stderr, "no %s\n", argv[i]);
      missing = 1;
    }
  }
  return missing;
}
