#include <lossc/losses/cross_entropy.h>
#include <stdio.h>
#include <stdlib.h>

int main(void) {
  float x[] = {1, 2, 3, 3, 1, 0}, grad[6], value;
  int32_t y[] = {2, 0};
  int64_t shape[] = {2, 3};
  const DLDevice cpu = {kDLCPU, 0};
  const DLDataType f32 = {kDLFloat, 32, 1}, i32 = {kDLInt, 32, 1};
  DLTensor logits = {x, cpu, 2, f32, shape, NULL, 0}, grad_logits = {grad, cpu, 2, f32, shape, NULL, 0};
  DLTensor target = {y, cpu, 1, i32, shape, NULL, 0}, loss = {&value, cpu, 0, f32, NULL, NULL, 0};
  lossc_plan *plan;
  lossc_error error;
  lossc_cross_entropy_call c = lossc_cross_entropy_defaults();
  c.in.logits = &logits, c.in.target = &target, c.out.loss = &loss, c.out.grad_logits = &grad_logits;
  if (lossc_cross_entropy_plan(&c, &plan, &error) != LOSSC_OK) return puts(error.text), 1;
  c.run.workspace = aligned_alloc(64, c.run.workspace_size = lossc_plan_workspace_size(plan));
  if (lossc_cross_entropy_run(plan, &c, &error) != LOSSC_OK) return puts(error.text), 1;
  printf("loss %.4f, gradient %.4f %.4f %.4f ...\n", value, grad[0], grad[1], grad[2]);
}
