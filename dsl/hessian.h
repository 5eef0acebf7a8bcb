// Second derivatives: the product of a loss's Hessian with a direction, by differentiating its gradient.
#pragma once
#include <vector>

#include "program.h"

namespace lossc {

struct HessianProduct {
  std::vector<ir::Id> directions;  // new input tensors, one for each of Program::gradients, of the shape of its tensor
  ir::Id slope;                    // sum over them of gradient * direction, a scalar: d(loss) along the direction
  std::vector<Gradient> products;  // d(slope)/d(tensor): the Hessian's rows of each input times the whole direction
};

// Adds to the program what its Hessian-vector product needs. What stop_gradient covers is a constant here too, and at
// kinks the second derivative is that of the branch taken. Throws DefinitionError where there is no second derivative: of a
// step by hand that was given none.
HessianProduct add_hessian_product(Program& program);

// The same as a program of its own, to be planned and compiled like any other: its loss is the slope, its gradients are the
// products, and it has no loss for each row (loss_rows is kNone) and no further outputs.
Program hessian_program(Program program);

}  // namespace lossc
