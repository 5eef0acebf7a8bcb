// The commonest mistakes of one who writes a loss, and what they are told, word for word: the line, the loss, the
// expression, what was wanted and what came.
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "dsl/program.h"

namespace lossc::tests {
namespace {

int line;  // of the mistake; 0: it is in none
std::function<void()> written;

// `body` is a whole definition of loss 'mine'.
void expect_told(const char* text, std::function<void()> body) {
  written = std::move(body);
  line = 0;
  const Definition mine{"mine", "regression", __FILE__, [] {
                          about({.title = "-", .paper = "-", .equation = "-", .edges = "-"});
                          written();
                        }};
  try {
    build_all(mine);
    FAIL() << "is not refused; wanted: " << text;
  } catch (const DefinitionError& e) {
    const std::string place = "mistakes_test.cpp" + (line ? ":" + std::to_string(line) : "");
    EXPECT_EQ(e.what(), place + ": loss 'mine': " + text);
  }
}

#define HERE line = __LINE__

TEST(Mistake, AnIndexThatIsLeft) {
  expect_told("the loss `x(n, c)` still depends on {c}, where only {n} is left; reduce over it, as in sum(c, ...), or list it among the rows", [] {
    auto n = axis("N"), c = axis("C");
    auto x = tensor("x", {n, c}, "scores");
    HERE; loss_per(n, x(n, c));
  });
}
TEST(Mistake, ATwinThatIsLeft) {
  expect_told("the loss `(x(i) - x(j))` still depends on {j}, where only {i} is left; reduce over it, as in sum(j, ...), or list it among the rows", [] {
    auto [i, j] = batch_pair("N");
    auto x = tensor("x", {i}, "score");
    HERE; loss_per(i, x(i) - x(j));
  });
}
// What a recurrence carries, read in the step of one inside: at other places than the one before, and at places that the inner
// one says.
TEST(Mistake, AnInnerRecurrenceThatReadsTheOuterOneAtItsOwnPlaces) {
  expect_told("scan: `carried1(e, n)` reads what is carried along 't' at 'e', where only the values of the place before are there; carry what is "
              "wanted of other places as well, with an index for them, or read the result, outside of the step", [] {
    auto n = axis("N"), t = axis("T"), e = twin(t, "e");
    auto x = tensor("x", {n, t}, "scores");
    HERE; loss_per(n, sum(t, scan(t, {{{n}, 0.0}}, [&](const std::vector<Expr>& u) {
      return std::vector<Expr>{sum(e, scan(e, {{{n}, 0.0}}, [&](const std::vector<Expr>& v) { return std::vector<Expr>{v[0] + at(u[0], t, e) * x(n, e)}; })[0])};
    })[0]));
  });
}
TEST(Mistake, AnInnerRecurrenceThatReadsTheOuterOneWhereItSaysItself) {
  expect_told("scan: the recurrence along 'e' reads what the one around it carries, along 't', at places that depend on what it carries itself: "
              "that has no derivative here; read it at places that follow from the indices", [] {
    auto n = axis("N"), t = axis("T"), c = axis("C"), e = twin(c, "e");
    auto x = tensor("x", {n, t, c}, "scores");
    loss_per(n, sum(t, sum(c, scan(t, {{{n, c}, 0.0}}, [&](const std::vector<Expr>& u) {
      HERE; const Expr v = scan(e, {{{n}, 0.0}}, [&](const std::vector<Expr>& w) { return std::vector<Expr>{at(u[0], c, to_int(w[0])) + x(n, t, e)}; })[0];
      return std::vector<Expr>{0.5 * u[0] + at(v, e, c)};
    })[0])));
  });
}
TEST(Mistake, IndicesInTheWrongOrder) {
  expect_told("`x(c, n)`: index 'c' runs over axis C, but dimension 1 of tensor 'x' over axis N; it is declared as x(n, c)", [] {
    auto n = axis("N"), c = axis("C");
    auto x = tensor("x", {n, c}, "scores");
    HERE; loss_per(n, sum(c, x(c, n)));
  });
}
TEST(Mistake, AnIndexThatIsMeantAsAPosition) {
  expect_told("`x(n/2)`: index 'n/2' runs over axis N/2, but dimension 1 of tensor 'x' over axis N; it is declared as x(n); to look up "
              "at a place of that number, add 0 to the index", [] {
    auto n = axis("N"), h = derived_axis("N/2", extent(n) / 2);
    auto x = tensor("x", {n}, "scores");
    HERE; loss_per(h, x(h));
  });
}
TEST(Mistake, AReductionWhereTheLesserOfTwoIsMeant) {
  expect_told("`min(c, (M - 1))` is over all c, but `(M - 1)` does not depend on c; of the two numbers it is min(c + 0, (M - 1))", [] {
    auto n = axis("N"), c = axis("C"), m = axis("M");
    auto x = tensor("x", {n, c}, "scores"), y = tensor("y", {n, m}, "scores of fewer classes");
    HERE; loss_per(n, sum(c, x(n, c) * y(n, min(c, extent(m) - 1))));
  });
}
TEST(Mistake, AnIndexTooFew) {
  expect_told("tensor 'x' has 2 dimensions, x(n, c), but is used with 1: x(n)", [] {
    auto n = axis("N"), c = axis("C");
    auto x = tensor("x", {n, c}, "scores");
    HERE; loss_per(n, sum(c, x(n)));
  });
}
TEST(Mistake, AFloatWhereAPositionIsWanted) {
  expect_told("`y(n)` is a float where an integer (an index, labels, an extent) is wanted; to_int(...) rounds a float down to one", [] {
    auto n = axis("N"), c = axis("C");
    auto x = tensor("x", {n, c}, "scores"), y = tensor("y", {n}, "class");
    HERE; loss_per(n, x(n, y(n)));
  });
}
TEST(Mistake, LabelsWithoutARange) {
  expect_told("`x(n, t(n))` looks up along axis C by labels 't', but no range is declared for them; want labels(\"t\", ...).in_range(c)", [] {
    auto n = axis("N"), c = axis("C");
    auto x = tensor("x", {n, c}, "scores");
    auto t = labels("t", {n}, "class");
    HERE; loss_per(n, x(n, t(n)));
  });
}
TEST(Mistake, LabelsOfAnotherAxis) {
  expect_told("`x(n, t(n))` looks up along axis C by labels 't', but they are declared in range of axis N; want labels(\"t\", ...).in_range(c)", [] {
    auto n = axis("N"), c = axis("C");
    auto x = tensor("x", {n, c}, "scores");
    auto t = labels("t", {n}, "class").in_range(n);
    HERE; loss_per(n, x(n, t(n)));
  });
}
TEST(Mistake, ATruthValueAsANumber) {
  expect_told("`(0 < x(n))` is a truth value where a number is wanted; write number(...) or select(..., 1, 0), or count(...) for a sum", [] {
    auto n = axis("N");
    auto x = tensor("x", {n}, "score");
    HERE; loss_per(n, 2.0 * (x(n) > 0));
  });
}
TEST(Mistake, ANumberAsAMask) {
  expect_told("`y(n, c)` is a float where a truth value is wanted; compare it with something", [] {
    auto n = axis("N"), c = axis("C");
    auto x = tensor("x", {n, c}, "scores"), y = tensor("y", {n, c}, "1 where it counts");
    HERE; loss_per(n, sum(c, x(n, c), y(n, c)));
  });
}
TEST(Mistake, TwoTensorsOfOneName) {
  expect_told("two tensors are named 'x'; the name is the argument's in the C interface, so each wants its own", [] {
    auto n = axis("N");
    auto x = tensor("x", {n}, "score");
    HERE; auto y = tensor("x", {n}, "target");
    loss_per(n, x(n) - y(n));
  });
}
TEST(Mistake, AChoiceThatIsMisspelled) {
  expect_told("option 'distance' has no choice 'eucledean': want euclidean, cosine", [] {
    auto n = axis("N");
    auto distance = option("distance", {"euclidean", "cosine"}, "of the embeddings");
    auto x = tensor("x", {n}, "score");
    HERE; loss_per(n, distance.is("eucledean") ? sq(x(n)) : x(n));
  });
}
TEST(Mistake, ADefaultOutOfRange) {
  expect_told("param 'temperature' has the default 0, but is declared > 0", [] {
    auto n = axis("N");
    auto x = tensor("x", {n}, "score");
    HERE; auto tau = param("temperature", 0, "scale").positive();
    loss_per(n, x(n) / tau);
  });
  expect_told("param 'quantile' has the default 90, but is declared <= 1", [] {
    auto n = axis("N");
    auto x = tensor("x", {n}, "score");
    HERE; auto q = param("quantile", 90, "which").between(0, 1);
    loss_per(n, x(n) * q);
  });
}
TEST(Mistake, AnOptionalTensorUsedUnasked) {
  expect_told("optional tensor 'w' is used in the form that lacks it; ask first, as in w.given() ? ... : ...", [] {
    auto n = axis("N");
    auto x = tensor("x", {n}, "score"), w = tensor("w", {n}, "weight").optional();
    HERE; loss_per(n, w(n) * x(n));
  });
}
TEST(Mistake, AnAxisWithoutALength) {
  expect_told("no tensor has axis 'C', so its length is not known; declare a tensor over it, or make it a count_axis", [] {
    auto n = axis("N");
    HERE; auto c = axis("C");
    auto x = tensor("x", {n}, "score");
    loss_per(n, sum(c, x(n) * c));
  });
}
TEST(Mistake, OneIndexTwice) {
  expect_told("tensor 'z' has index 'c' twice, which would be its diagonal; a second dimension over the same axis wants an index of its "
              "own, as twin(c, \"k\")", [] {
    auto c = axis("C");
    HERE; auto z = tensor("z", {c, c}, "covariance");
    loss_per(c, z(c, c));
  });
}
TEST(Mistake, NoLoss) {
  expect_told("no loss_per or loss_total: the definition says no loss", [] {
    auto n = axis("N");
    auto x = tensor("x", {n}, "score");
    static_cast<void>(x(n));
  });
}
TEST(Mistake, NoPaper) {
  expect_told("about() lacks .paper: a definition without title, paper, equation and edges does not build", [] {
    about({.title = "-", .equation = "-", .edges = "-"});
    auto n = axis("N");
    loss_per(n, tensor("x", {n}, "score")(n));
  });
}
TEST(Mistake, NoEdges) {
  expect_told("about() lacks .edges: a definition without title, paper, equation and edges does not build", [] {
    about({.title = "-", .paper = "-", .equation = "-"});
    auto n = axis("N");
    loss_per(n, tensor("x", {n}, "score")(n));
  });
}
TEST(Mistake, NoDocumentation) {
  expect_told("tensor 'x' has no documentation: say what it holds, its units and valid range", [] {
    auto n = axis("N");
    loss_per(n, tensor("x", {n})(n));
  });
}

}  // namespace
}  // namespace lossc::tests
