// Reads tests/golden/*.json: calls of a loss with results from independent implementations.
#pragma once
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "dsl/case.h"

namespace lossc::tests {

struct GoldenCase : Case {
  std::vector<double> loss_values;                       // one for sum and mean, else one per row
  std::map<std::string, std::vector<double>> gradients;  // by input
  std::map<std::string, std::vector<double>> outputs;    // by name; those listed
};

namespace golden {

using Json = nlohmann::json;

inline double number(const Json& j) {
  if (j.is_boolean()) return j.get<bool>();
  if (!j.is_string()) return j.get<double>();
  const std::string s = j.get<std::string>();
  return std::stod(s);  // "nan", "inf", "-inf", "Infinity"
}

// A number, a list (nested or not), or {"shape", "data"}.
inline void flatten(const Json& j, std::vector<double>& out) {
  if (j.is_object()) return flatten(j.at("data"), out);
  if (!j.is_array()) return out.push_back(number(j));
  for (const Json& x : j) flatten(x, out);
}

inline std::vector<double> values(const Json& j) {
  std::vector<double> out;
  flatten(j, out);
  return out;
}

inline Array array(const Json& j) {
  Array a{{}, values(j)};
  if (j.is_object()) {
    a.shape = j.at("shape").get<std::vector<int64_t>>();
  } else {
    for (const Json* level = &j; level->is_array(); level = &level->front()) {
      a.shape.push_back(int64_t(level->size()));
      if (level->empty()) break;
    }
  }
  return a;
}

inline bool present(const Json& j, const char* key) { return j.contains(key) && !j.at(key).is_null(); }

inline std::optional<Array> optional_array(const Json& j, const char* key) {
  if (!present(j, key)) return std::nullopt;
  return array(j.at(key));
}

inline GoldenCase read_case(const std::string& loss, const Json& j) {
  GoldenCase c;
  c.loss = loss;
  c.name = j.at("name").get<std::string>();
  for (const auto& [name, value] : j.at("inputs").items()) {
    if (!value.is_null()) c.inputs[name] = array(value);
  }
  if (present(j, "params")) {
    for (const auto& [name, value] : j.at("params").items()) c.params[name] = number(value);
  }
  if (present(j, "options")) c.options = j.at("options").get<std::map<std::string, std::string>>();
  const std::string reduction = j.value("reduction", "mean");
  c.reduction = reduction == "none" ? Reduction::None : reduction == "sum" ? Reduction::Sum : Reduction::Mean;
  c.row_weight = optional_array(j, "row_weight");
  c.row_mask = optional_array(j, "row_mask");
  c.grad_output = optional_array(j, "grad_output");
  if (present(j, "denominator")) c.denominator = number(j.at("denominator"));
  const Json& expected = j.at("expected");
  c.loss_values = values(expected.at("loss"));
  for (const char* key : {"gradients", "outputs"}) {
    if (!present(expected, key)) continue;
    for (const auto& [name, value] : expected.at(key).items()) {
      if (!value.is_null()) (std::string(key) == "outputs" ? c.outputs : c.gradients)[name] = values(value);
    }
  }
  return c;
}

}  // namespace golden

struct GoldenFile {
  std::filesystem::path path;
  std::string loss;
  std::vector<GoldenCase> cases;
  std::string error;  // why it could not be read
};

inline GoldenFile read_golden(const std::filesystem::path& path) {
  GoldenFile file{path, path.stem().string(), {}, {}};
  try {
    std::ifstream in(path);
    const golden::Json j = golden::Json::parse(in);
    file.loss = j.at("loss").get<std::string>();
    for (const auto& c : j.at("cases")) file.cases.push_back(golden::read_case(file.loss, c));
  } catch (const std::exception& e) {
    file.error = e.what();
  }
  return file;
}

// All of them, by name.
inline std::vector<GoldenFile> golden_files() {
  std::vector<std::filesystem::path> paths;
  const std::filesystem::path folder = std::filesystem::path(LOSSC_SOURCE_DIR) / "tests/golden";
  if (std::filesystem::exists(folder)) {
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      if (entry.path().extension() == ".json") paths.push_back(entry.path());
    }
  }
  std::sort(paths.begin(), paths.end());
  std::vector<GoldenFile> files;
  for (const auto& path : paths) files.push_back(read_golden(path));
  return files;
}

}  // namespace lossc::tests
