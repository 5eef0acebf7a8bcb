// Losses over several devices, where the caller communicates: what the shards of the classes, or the blocks of the pairs,
// have of values and gradients sums to the loss that sees everything.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "dsl/case.h"
#include "tests/support/definition.h"

namespace lossc::tests {
namespace {

using Values = std::map<std::string, std::vector<double>>;
constexpr double kInf = std::numeric_limits<double>::infinity();

// The loss, its gradients as "grad_...", its further outputs.
Values run(const Case& c) {
  const Program p = program_for(definition_of(c.loss), c);
  EXPECT_EQ(unknown_names(p, c), "");
  Oracle oracle(p.graph, oracle_inputs(p, c));
  const bool rows = c.reduction == Reduction::None;
  Values out{{"loss", rows ? oracle.evaluate(p.loss_rows, p.rows).data : std::vector{oracle.scalar(p.loss)}}};
  for (const Gradient& g : p.gradients) {
    const ir::Tensor& t = p.graph.tensors[g.tensor];
    if (c.inputs.count(t.name)) out["grad_" + t.name] = oracle.evaluate(g.node, t.dims).data;
  }
  for (const NamedOutput& o : p.outputs) out[o.name] = oracle.evaluate(o.node, o.indices).data;
  return out;
}

// Elements [begin, end) along the dimension.
Array cut(const Array& a, int64_t begin, int64_t end, size_t dim = 0) {
  Array out{a.shape, {}};
  out.shape[dim] = end - begin;
  int64_t inner = 1;
  for (size_t d = dim + 1; d < a.shape.size(); d++) inner *= a.shape[d];
  for (int64_t k = 0; k < int64_t(a.data.size()); k++) {
    const int64_t at = k / inner % a.shape[dim];
    if (at >= begin && at < end) out.data.push_back(a.data[size_t(k)]);
  }
  return out;
}

// Targets as a shard has them: -1 for classes of the others.
Array seen_from(const Array& target, int64_t begin, int64_t end, double ignored) {
  Array out = target;
  for (double& y : out.data) y = y == ignored ? ignored : y >= double(begin) && y < double(end) ? y - double(begin) : -1;
  return out;
}

struct Split {
  std::map<std::string, size_t> along;  // tensors over the classes: which dimension of each
  std::string target, shard_target;
  Case options;                         // what a shard's call has besides
  double ignored = -100;
};

std::vector<Case> shards_of(const Case& whole, const Split& split, const std::vector<int64_t>& ends) {
  std::vector<Case> shards;
  int64_t begin = 0;
  for (int64_t end : ends) {
    Case c = whole;
    c.options.insert(split.options.options.begin(), split.options.options.end());
    c.params.insert(split.options.params.begin(), split.options.params.end());
    c.inputs.erase(split.target);
    for (const auto& [name, dim] : split.along) c.inputs[name] = cut(whole.inputs.at(name), begin, end, dim);
    const Array& target = whole.inputs.at(split.target);
    c.inputs[split.shard_target] = seen_from(target, begin, end, split.ignored);
    c.inputs["others_logsumexp"] = Array{target.shape, std::vector(target.data.size(), -kInf)};
    shards.push_back(c);
    begin = end;
  }
  return shards;
}

// What the caller does between the two calls.
void exchange(std::vector<Case>& shards) {
  std::vector<std::vector<double>> parts;
  for (const Case& c : shards) parts.push_back(run(c).at("shard_logsumexp"));
  for (size_t s = 0; s < shards.size(); s++) {
    for (size_t row = 0; row < parts[s].size(); row++) {
      double highest = -kInf, sum = 0;
      for (size_t k = 0; k < parts.size(); k++) highest = std::max(highest, k == s ? -kInf : parts[k][row]);
      for (size_t k = 0; k < parts.size(); k++) sum += k == s ? 0 : std::exp(parts[k][row] - highest);
      shards[s].inputs["others_logsumexp"].data[row] = highest == -kInf ? -kInf : highest + std::log(sum);
    }
  }
}

void add(std::vector<double>& to, const std::vector<double>& part) {
  to.resize(part.size());
  for (size_t k = 0; k < part.size(); k++) to[k] += part[k];
}

void expect_sums(const Case& whole, const Split& split, const std::vector<int64_t>& ends) {
  std::vector<Case> shards = shards_of(whole, split, ends);
  exchange(shards);
  const Values want = run(whole);
  Values sums;
  int64_t begin = 0;
  for (size_t s = 0; s < shards.size(); s++) {
    for (const auto& [name, got] : run(shards[s])) {
      const std::string input = name.starts_with("grad_") ? name.substr(5) : "";
      if (!split.along.count(input)) {
        add(sums[name], got);
        continue;
      }
      const Array part = cut({whole.inputs.at(input).shape, want.at(name)}, begin, ends[s], split.along.at(input));
      EXPECT_TRUE(close(got, part.data, kReordered)) << name << " of shard " << s;
    }
    begin = ends[s];
  }
  for (const auto& [name, sum] : sums) {
    if (name == "shard_logsumexp") continue;
    EXPECT_TRUE(close(sum, want.at(name), kReordered)) << name;
  }
}

Array draw_labels(int64_t rows, int64_t classes, double ignored) {
  Array a = uniform({rows}, 0, double(classes), 7);
  for (double& y : a.data) y = std::floor(y);
  a.data[2] = ignored;
  return a;
}

struct ShardsTest : testing::TestWithParam<Reduction> {
  Case whole(const char* loss) {
    Case c;
    c.loss = loss;
    c.reduction = GetParam();
    c.row_weight = uniform({9}, 0.1, 2, 5);
    c.row_mask = Array{{9}, {1, 1, 1, 1, 1, 1, 1, 1, 0}};
    c.grad_output = c.reduction == Reduction::None ? uniform({9}, -1, 1, 6) : Array{{}, {0.75}};
    return c;
  }
};
INSTANTIATE_TEST_SUITE_P(, ShardsTest, testing::Values(Reduction::None, Reduction::Sum, Reduction::Mean));

TEST_P(ShardsTest, CrossEntropyOfUnevenShards) {
  Case c = whole("cross_entropy");
  c.inputs = {{"logits", uniform({9, 11}, -4, 4)}, {"target", draw_labels(9, 11, -100)}};
  Split split{{{"logits", 1}}, "target", "shard_target", {}};
  split.options.options = {{"target", "shard"}};
  expect_sums(c, split, {4, 5, 11});
  c.params = {{"label_smoothing", 0.1}, {"z_loss", 0.01}, {"softcap", 3}};
  split.options.params = {{"class_count", 11}};
  expect_sums(c, split, {4, 5, 11});
}

TEST_P(ShardsTest, CrossEntropyWithAShardRuledOut) {
  Case c = whole("cross_entropy");
  c.inputs = {{"logits", uniform({9, 6}, -4, 4)}, {"target", draw_labels(9, 4, -100)}};
  for (size_t row = 0; row < 9; row++) c.inputs["logits"].data[row * 6 + 4] = c.inputs["logits"].data[row * 6 + 5] = -kInf;
  Split split{{{"logits", 1}}, "target", "shard_target", {}};
  split.options.options = {{"target", "shard"}};
  expect_sums(c, split, {4, 6});
}

TEST_P(ShardsTest, CrossEntropyWithClassWeightsAsRowWeights) {
  Case c = whole("cross_entropy"), rows = c;
  const Array target = draw_labels(9, 11, -100), weight = uniform({11}, 0.5, 2, 8);
  rows.inputs = {{"logits", uniform({9, 11}, -4, 4)}, {"target", target}};
  c.inputs = rows.inputs;
  c.inputs["weight"] = weight;
  for (size_t row = 0; row < 9; row++)
    if (target.data[row] >= 0) rows.row_weight->data[row] *= weight.data[size_t(target.data[row])];
  const Values want = run(c), got = run(rows);
  EXPECT_TRUE(close(got.at("loss"), want.at("loss"), kReordered));
  EXPECT_TRUE(close(got.at("grad_logits"), want.at("grad_logits"), kReordered));
}

TEST_P(ShardsTest, LinearCrossEntropy) {
  Case c = whole("linear_cross_entropy");
  c.inputs = {{"embedding", uniform({9, 4}, -2, 2)}, {"weight", uniform({11, 4}, -2, 2, 2)}, {"bias", uniform({11}, -1, 1, 3)},
              {"target", draw_labels(9, 11, -100)}};
  Split split{{{"weight", 0}, {"bias", 0}}, "target", "shard_target", {}};
  split.options.options = {{"classes", "shard"}};
  expect_sums(c, split, {6, 11});
  c.params = {{"label_smoothing", 0.1}, {"z_loss", 0.01}, {"softcap", 3}, {"shift", 1}};
  split.options.params = {{"class_count", 11}};
  expect_sums(c, split, {6, 11});
  c.params["filter_eps"] = 0.05;
  expect_sums(c, split, {6, 11});
}

TEST_P(ShardsTest, Arcface) {
  Case c = whole("arcface");
  // Rows without a class anywhere are no rows of a shard: they are masked.
  c.inputs = {{"embedding", uniform({9, 4}, -2, 2)}, {"weight", uniform({7, 4}, -2, 2, 2)}, {"label", draw_labels(9, 7, -1)}};
  c.row_mask->data[2] = 0;
  Split split{{{"weight", 0}}, "label", "label", {}, -1};
  split.options.options = {{"classes", "shard"}};
  expect_sums(c, split, {3, 7});
  c.options["gradient"] = "straight_through";
  c.params["scale"] = 4;
  expect_sums(c, split, {3, 7});
}

TEST_P(ShardsTest, SiglipBlocks) {
  Case c = whole("siglip");
  c.inputs = {{"image", uniform({9, 4}, -1, 1)}, {"text", uniform({9, 4}, -1, 1, 2)}, {"log_scale", {{}, {0.5}}}, {"bias", {{}, {-1}}}};
  const Values want = run(c);
  // The images of the first device, which has the first five pairs.
  Case own = c;
  own.inputs["image"] = cut(c.inputs["image"], 0, 5);
  own.row_weight = cut(*c.row_weight, 0, 5);
  own.row_mask = cut(*c.row_mask, 0, 5);
  if (c.reduction == Reduction::None) own.grad_output = cut(*c.grad_output, 0, 5);
  const Values device = run(own);
  own.inputs["text"] = cut(c.inputs["text"], 0, 5);
  Case other = own;
  other.inputs["text"] = cut(c.inputs["text"], 5, 9);
  other.options["pairs"] = "negatives";
  const Values positives = run(own), negatives = run(other);
  for (const char* name : {"loss", "grad_image", "grad_log_scale", "grad_bias"}) {
    std::vector<double> sum = positives.at(name);
    add(sum, negatives.at(name));
    EXPECT_TRUE(close(sum, device.at(name), kReordered)) << name;
  }
  std::vector<double> text = positives.at("grad_text");
  text.insert(text.end(), negatives.at("grad_text").begin(), negatives.at("grad_text").end());
  EXPECT_TRUE(close(text, device.at("grad_text"), kReordered));
  if (c.reduction == Reduction::Mean) return;
  // And what that device has is what the whole loss has of its images.
  const std::vector<double>& all = want.at("grad_image");
  EXPECT_TRUE(close(device.at("grad_image"), std::vector(all.begin(), all.begin() + 5 * 4), kReordered));
}

// Two devices, the first with five pairs: their losses, and for each row its own gradient and those of its copies.
TEST_P(ShardsTest, ClipGathered) {
  Case c = whole("clip");
  if (c.reduction == Reduction::Mean) c.denominator = 9;
  c.params = {{"label_smoothing", 0.1}};
  c.inputs = {{"image", uniform({9, 4}, -1, 1)}, {"text", uniform({9, 4}, -1, 1, 2)}, {"logit_scale", {{}, {0.5}}}};
  const Values want = run(c);
  Values sums;
  std::map<std::string, std::vector<double>> own;
  for (const auto& [begin, end] : {std::pair{0, 5}, {5, 9}}) {
    Case device = c;
    device.options["negatives"] = "gathered";
    device.row_weight = cut(*c.row_weight, begin, end);
    device.row_mask = cut(*c.row_mask, begin, end);
    if (c.reduction == Reduction::None) device.grad_output = cut(*c.grad_output, begin, end);
    for (const char* side : {"image", "text"}) {
      device.inputs[std::string("all_") + side] = c.inputs.at(side);
      device.inputs[side] = cut(c.inputs.at(side), begin, end);
    }
    for (const auto& [name, got] : run(device)) {
      const bool of_rows = name == "grad_image" || name == "grad_text" || (name == "loss" && c.reduction == Reduction::None);
      if (of_rows) own[name].insert(own[name].end(), got.begin(), got.end());
      else add(sums[name], got);
    }
  }
  add(own["grad_image"], sums["grad_all_image"]);
  add(own["grad_text"], sums["grad_all_text"]);
  own.insert(sums.begin(), sums.end());
  for (const char* name : {"loss", "grad_image", "grad_text", "grad_logit_scale"})
    EXPECT_TRUE(close(own.at(name), want.at(name), kReordered)) << name;
}

}  // namespace
}  // namespace lossc::tests
