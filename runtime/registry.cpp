// Looking losses up. The only file that names the registry, and with it every loss.
#include <cstring>

#include "lossc/lossc.h"
#include "runtime/table.h"

using lossc::rt::Loss;
using lossc::rt::lossc_registry;

namespace {
const lossc_loss* handle(const Loss* loss) { return reinterpret_cast<const lossc_loss*>(loss); }
}  // namespace

extern "C" {

const char* lossc_build_info(void) { return lossc_registry.build_info; }

size_t lossc_loss_count(void) { return lossc_registry.n_losses; }

const lossc_loss* lossc_loss_at(size_t i) {
  return i < lossc_registry.n_losses ? handle(lossc_registry.losses[i]) : nullptr;
}

const lossc_loss* lossc_loss_find(const char* name) {
  for (size_t i = 0; name != nullptr && i < lossc_registry.n_losses; ++i) {
    if (strcmp(lossc_registry.losses[i]->name, name) == 0) return handle(lossc_registry.losses[i]);
  }
  return nullptr;
}

}  // extern "C"
