// The words of --dtype: what tensors are of, and what kernels then compute in.
#pragma once
#include <dlpack/dlpack.h>

#include <string>
#include <vector>

namespace lossc::cli {

struct Dtype {
  std::string name = "f32";
  DLDataType type = {kDLFloat, 32, 1};
  int bits = 32;  // that kernels compute in
};

inline const std::vector<std::string>& dtype_names() {
  static const std::vector<std::string> names = {"f16", "bf16", "f32", "f64"};
  return names;
}
inline Dtype dtype_of(const std::string& name) {  // one of the names
  if (name == "f64") return {name, {kDLFloat, 64, 1}, 64};
  const bool sixteen = name == "f16" || name == "bf16";
  const auto code = static_cast<uint8_t>(name == "bf16" ? kDLBfloat : kDLFloat);
  return {name, {code, static_cast<uint8_t>(sixteen ? 16 : 32), 1}, 32};
}

}  // namespace lossc::cli
